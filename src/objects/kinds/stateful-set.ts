import { isDeepStrictEqual } from 'node:util';
import { applyTemplateDefaults } from '../defaults/pod-spec.ts';
import type { AnyObject } from '../kind.ts';
import { ageColumn, column, nameColumn, templateColumns } from '../print/columns.ts';
import { resources } from '../resource.ts';
import type { StatusCause } from '../types/index.ts';
import { forbidden, invalid } from '../validation/causes.ts';
import { declareKind } from './declare.ts';
import { nonNegative, validateWorkload } from './workload.ts';

const updatable = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
];

export const statefulSetKind = declareKind({
  resource: resources.statefulSets,
  shortNames: ['sts'],
  categories: ['all'],
  subresources: { status: true, scale: true },
  generationOf: ['spec'],
  defaults(statefulSet) {
    const spec = (statefulSet.spec ??= {});
    spec.replicas ??= 1;
    spec.podManagementPolicy ||= 'OrderedReady';
    spec.updateStrategy ??= {};
    spec.updateStrategy.type ||= 'RollingUpdate';
    if (spec.updateStrategy.type === 'RollingUpdate') {
      spec.updateStrategy.rollingUpdate ??= {};
      spec.updateStrategy.rollingUpdate.partition ??= 0;
    }
    spec.revisionHistoryLimit ??= 10;
    spec.persistentVolumeClaimRetentionPolicy ??= {};
    spec.persistentVolumeClaimRetentionPolicy.whenDeleted ||= 'Retain';
    spec.persistentVolumeClaimRetentionPolicy.whenScaled ||= 'Retain';
    applyTemplateDefaults(spec);
  },
  onCreate(statefulSet) {
    statefulSet.status = { replicas: 0, availableReplicas: 0 };
  },
  validate: (statefulSet, old) => [
    // Its selector is judged below, with the other fields that cannot change.
    ...validateWorkload(statefulSet, undefined, 'statefulset'),
    ...nonNegative(statefulSet.spec, 'spec', ['replicas', 'minReadySeconds', 'revisionHistoryLimit']),
    ...validatePolicy(statefulSet),
    ...validateUpdateStrategy(statefulSet.spec.updateStrategy, 'spec.updateStrategy'),
    ...(old ? validateUpdate(statefulSet, old) : []),
  ],
  columns: [
    nameColumn,
    column('Ready', 'Ready pods of those wanted.', ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec?.replicas ?? 0}`),
    ageColumn,
    ...templateColumns,
  ],
});

function validatePolicy({ spec }: AnyObject): StatusCause[] {
  const policies = ['OrderedReady', 'Parallel'];
  if (policies.includes(spec.podManagementPolicy)) return [];
  return [invalid('spec.podManagementPolicy', spec.podManagementPolicy, `must be '${policies.join("' or '")}'`)];
}

function validateUpdateStrategy({ type, rollingUpdate }: AnyObject['spec'], at: string): StatusCause[] {
  switch (type) {
    case 'OnDelete':
      return rollingUpdate ? [invalid(`${at}.rollingUpdate`, rollingUpdate, "only allowed for updateStrategy 'RollingUpdate'")] : [];
    case 'RollingUpdate':
      return nonNegative(rollingUpdate, `${at}.rollingUpdate`, ['partition']);
    default:
      return [invalid(at, { Type: type, RollingUpdate: rollingUpdate ?? null }, "must be 'RollingUpdate' or 'OnDelete'")];
  }
}

function validateUpdate({ spec }: AnyObject, { spec: old }: AnyObject): StatusCause[] {
  const fixed = (value: object) => Object.fromEntries(Object.entries(value).filter(([field]) => !updatable.includes(field)));
  if (isDeepStrictEqual(fixed(spec), fixed(old))) return [];
  const names = updatable.map((field) => `'${field}'`);
  return [
    forbidden(
      'spec',
      `updates to statefulset spec for fields other than ${names.slice(0, -1).join(', ')} and ${names.at(-1)} are forbidden`,
    ),
  ];
}
