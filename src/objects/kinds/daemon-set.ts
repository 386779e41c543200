import { applyPodSpecDefaults } from '../defaults/pod-spec.ts';
import { ageColumn, column, formatLabels, nameColumn, templateColumns } from '../print/columns.ts';
import { resources } from '../resource.ts';
import { declareKind } from './declare.ts';
import { nonNegative, selectorColumn, validateWorkload } from './workload.ts';

export const daemonSetKind = declareKind({
  resource: resources.daemonSets,
  shortNames: ['ds'],
  categories: ['all'],
  subresources: { status: true },
  generationOf: ['spec'],
  defaults(daemonSet) {
    const spec = (daemonSet.spec ??= {});
    spec.updateStrategy ??= {};
    spec.updateStrategy.type ||= 'RollingUpdate';
    if (spec.updateStrategy.type === 'RollingUpdate') {
      spec.updateStrategy.rollingUpdate ??= {};
      spec.updateStrategy.rollingUpdate.maxUnavailable ??= 1;
      spec.updateStrategy.rollingUpdate.maxSurge ??= 0;
    }
    spec.revisionHistoryLimit ??= 10;
    if (spec.template) applyPodSpecDefaults((spec.template.spec ??= {}));
  },
  onCreate(daemonSet) {
    daemonSet.status = { currentNumberScheduled: 0, numberMisscheduled: 0, desiredNumberScheduled: 0, numberReady: 0 };
  },
  validate: (daemonSet, old) => [
    ...validateWorkload(daemonSet, old, 'daemonset'),
    ...nonNegative(daemonSet.spec, 'spec', ['minReadySeconds', 'revisionHistoryLimit']),
  ],
  columns: [
    nameColumn,
    column('Desired', 'Nodes that should run the pod.', ({ status }) => status?.desiredNumberScheduled ?? 0, 'integer'),
    column('Current', 'Nodes that run the pod and should.', ({ status }) => status?.currentNumberScheduled ?? 0, 'integer'),
    column('Ready', 'Nodes whose pod is ready.', ({ status }) => status?.numberReady ?? 0, 'integer'),
    column('Up-to-date', 'Nodes whose pod is of the present template.', ({ status }) => status?.updatedNumberScheduled ?? 0, 'integer'),
    column('Available', 'Nodes whose pod is available.', ({ status }) => status?.numberAvailable ?? 0, 'integer'),
    column('Node Selector', 'Labels of the nodes that run the pod.', ({ spec }) => formatLabels(spec?.template?.spec?.nodeSelector)),
    ageColumn,
    ...templateColumns,
    selectorColumn,
  ],
});
