import { applyTemplateDefaults } from '../defaults/pod-spec.ts';
import { ageColumn, column, nameColumn, templateColumns } from '../print/columns.ts';
import { resources } from '../resource.ts';
import { declareKind } from './declare.ts';
import { nonNegative, selectorColumn, validateWorkload } from './workload.ts';

export const replicaSetKind = declareKind({
  resource: resources.replicaSets,
  shortNames: ['rs'],
  categories: ['all'],
  subresources: { status: true, scale: true },
  generationOf: ['spec'],
  defaults(replicaSet) {
    const spec = (replicaSet.spec ??= {});
    spec.replicas ??= 1;
    applyTemplateDefaults(spec);
  },
  onCreate(replicaSet) {
    replicaSet.status = { replicas: 0 };
  },
  validate: (replicaSet, old) => [
    ...validateWorkload(replicaSet, old, 'deployment'),
    ...nonNegative(replicaSet.spec, 'spec', ['replicas', 'minReadySeconds']),
    ...nonNegative(replicaSet.status, 'status', ['replicas', 'readyReplicas', 'availableReplicas', 'observedGeneration']),
  ],
  columns: [
    nameColumn,
    column('Desired', 'Pods wanted.', ({ spec }) => spec?.replicas ?? 0, 'integer'),
    column('Current', 'Pods that exist.', ({ status }) => status?.replicas ?? 0, 'integer'),
    column('Ready', 'Pods that are ready.', ({ status }) => status?.readyReplicas ?? 0, 'integer'),
    ageColumn,
    ...templateColumns,
    selectorColumn,
  ],
});
