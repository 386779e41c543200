import { isDeepStrictEqual } from 'node:util';
import { applyTemplateDefaults } from '../defaults/pod-spec.ts';
import type { AnyObject } from '../kind.ts';
import { ageColumn, column, formatLabels, nameColumn, templateColumns } from '../print/columns.ts';
import { resources } from '../resource.ts';
import type { StatusCause } from '../types/index.ts';
import { invalid, notSupported, required } from '../validation/causes.ts';
import { isZeroCount, validateAtMostAll, validateCountOrPercent } from '../validation/counts.ts';
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
    applyTemplateDefaults(spec);
  },
  onCreate(daemonSet) {
    setTemplateGeneration(daemonSet, 1);
    daemonSet.status = { currentNumberScheduled: 0, numberMisscheduled: 0, desiredNumberScheduled: 0, numberReady: 0 };
  },
  onUpdate(daemonSet, old) {
    const changed = !isDeepStrictEqual(daemonSet.spec?.template, old.spec?.template);
    setTemplateGeneration(daemonSet, templateGeneration(old) + (changed ? 1 : 0));
  },
  validate: (daemonSet, old) => [
    ...validateWorkload(daemonSet, old, 'daemonset'),
    ...nonNegative(daemonSet.spec, 'spec', ['minReadySeconds', 'revisionHistoryLimit']),
    ...validateUpdateStrategy(daemonSet.spec.updateStrategy, 'spec.updateStrategy'),
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

function validateUpdateStrategy({ type, rollingUpdate }: AnyObject['spec'], at: string): StatusCause[] {
  if (type === 'OnDelete') return [];
  if (type !== 'RollingUpdate') {
    return [notSupported(at, { Type: type, RollingUpdate: rollingUpdate ?? null }, ['RollingUpdate', 'OnDelete'])];
  }
  if (!rollingUpdate) return [required(`${at}.rollingUpdate`)];
  const { maxUnavailable, maxSurge } = rollingUpdate;
  const field = `${at}.rollingUpdate`;
  const causes = [
    ...validateCountOrPercent(maxUnavailable, `${field}.maxUnavailable`),
    ...validateCountOrPercent(maxSurge, `${field}.maxSurge`),
    ...validateAtMostAll(maxUnavailable, `${field}.maxUnavailable`),
    ...validateAtMostAll(maxSurge, `${field}.maxSurge`),
  ];
  if (!isZeroCount(maxUnavailable) && !isZeroCount(maxSurge)) {
    causes.push(invalid(`${field}.maxSurge`, maxSurge, 'may not be set when maxUnavailable is non-zero'));
  } else if (isZeroCount(maxUnavailable) && isZeroCount(maxSurge)) {
    causes.push(required(`${field}.maxUnavailable`, 'cannot be 0 when maxSurge is 0'));
  }
  return causes;
}

/** apps/v1 has no field for the generation of the template: the server keeps it in this annotation, whatever a client sends. */
const templateGenerationAnnotation = 'deprecated.daemonset.template.generation';

const templateGeneration = ({ metadata }: AnyObject): number => Number(metadata.annotations?.[templateGenerationAnnotation] ?? 0) || 0;

function setTemplateGeneration({ metadata }: AnyObject, generation: number): void {
  metadata.annotations = { ...metadata.annotations, [templateGenerationAnnotation]: String(generation) };
}
