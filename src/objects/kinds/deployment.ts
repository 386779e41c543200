import { applyTemplateDefaults } from '../defaults/pod-spec.ts';
import type { AnyObject } from '../kind.ts';
import { ageColumn, column, nameColumn, templateColumns } from '../print/columns.ts';
import { resources } from '../resource.ts';
import type { StatusCause } from '../types/index.ts';
import { invalid, notSupported, required } from '../validation/causes.ts';
import { isZeroCount, validateAtMostAll, validateCountOrPercent } from '../validation/counts.ts';
import { declareKind } from './declare.ts';
import { nonNegative, selectorColumn, validateWorkload } from './workload.ts';

export const deploymentKind = declareKind({
  resource: resources.deployments,
  shortNames: ['deploy'],
  categories: ['all'],
  subresources: { status: true, scale: true },
  generationOf: ['spec'],
  keepsOnStatusUpdate: ['labels'],
  defaults(deployment) {
    const spec = (deployment.spec ??= {});
    spec.replicas ??= 1;
    spec.strategy ??= {};
    spec.strategy.type ||= 'RollingUpdate';
    if (spec.strategy.type === 'RollingUpdate') {
      spec.strategy.rollingUpdate ??= {};
      spec.strategy.rollingUpdate.maxUnavailable ??= '25%';
      spec.strategy.rollingUpdate.maxSurge ??= '25%';
    }
    spec.revisionHistoryLimit ??= 10;
    spec.progressDeadlineSeconds ??= 600;
    applyTemplateDefaults(spec);
  },
  validate: (deployment, old) => [...validateWorkload(deployment, old, 'deployment'), ...validateSpec(deployment.spec)],
  columns: [
    nameColumn,
    column('Ready', 'Ready pods of those wanted.', ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec?.replicas ?? 0}`),
    column('Up-to-date', 'Pods of the present template.', ({ status }) => status?.updatedReplicas ?? 0),
    column('Available', 'Pods ready for at least minReadySeconds.', ({ status }) => status?.availableReplicas ?? 0),
    ageColumn,
    ...templateColumns,
    selectorColumn,
  ],
});

function validateSpec(spec: AnyObject['spec']): StatusCause[] {
  const causes = [
    ...nonNegative(spec, 'spec', ['replicas', 'minReadySeconds', 'revisionHistoryLimit', 'progressDeadlineSeconds']),
    ...validateStrategy(spec.strategy ?? {}, 'spec.strategy'),
  ];
  if (spec.progressDeadlineSeconds <= (spec.minReadySeconds ?? 0)) {
    causes.push(invalid('spec.progressDeadlineSeconds', spec.progressDeadlineSeconds, 'must be greater than minReadySeconds'));
  }
  return causes;
}

function validateStrategy({ type, rollingUpdate }: { type?: string; rollingUpdate?: Record<string, unknown> }, at: string): StatusCause[] {
  if (type === 'Recreate') {
    if (!rollingUpdate) return [];
    return [
      {
        reason: 'FieldValueForbidden',
        field: `${at}.rollingUpdate`,
        message: "Forbidden: may not be specified when strategy `type` is 'Recreate'",
      },
    ];
  }
  if (type !== 'RollingUpdate') {
    return [notSupported(at, { Type: type ?? '', RollingUpdate: rollingUpdate ?? null }, ['Recreate', 'RollingUpdate'])];
  }
  if (!rollingUpdate) return [required(`${at}.rollingUpdate`, 'this should be defaulted and never be nil')];
  const causes = ['maxUnavailable', 'maxSurge'].flatMap((field) =>
    validateCountOrPercent(rollingUpdate[field], `${at}.rollingUpdate.${field}`),
  );
  const { maxUnavailable, maxSurge } = rollingUpdate;
  const field = `${at}.rollingUpdate.maxUnavailable`;
  if (isZeroCount(maxUnavailable) && isZeroCount(maxSurge))
    causes.push(invalid(field, maxUnavailable, 'may not be 0 when `maxSurge` is 0'));
  return [...causes, ...validateAtMostAll(maxUnavailable, field)];
}
