import { ageColumn, column, nameColumn } from '../print/columns.ts';
import { resources } from '../resource.ts';
import type { StatusCause, Toleration } from '../types/index.ts';
import { duplicate, invalids } from '../validation/causes.ts';
import { immutable, validateLabels } from '../validation/metadata.ts';
import { dnsLabel } from '../validation/names.ts';
import { validateTolerations } from '../validation/pod-spec.ts';
import { validateQuantities } from '../validation/quantities.ts';
import { declareKind } from './declare.ts';

/** node.k8s.io/v1 RuntimeClass: a named way to run containers. */
export const runtimeClassKind = declareKind({
  resource: resources.runtimeClasses,
  createsOnUpdate: true,
  needsResourceVersion: true,
  validate: (runtime, old) => [
    ...invalids('handler', runtime['handler'] ?? '', dnsLabel(runtime['handler'] ?? '')),
    ...validateQuantities(runtime['overhead']?.podFixed, 'overhead.limits'),
    ...validateScheduling(runtime['scheduling'] ?? {}),
    ...(old ? immutable('handler', runtime['handler'], old['handler']) : []),
  ],
  columns: [nameColumn, column('Handler', 'What the container runtime calls it.', (runtime) => runtime['handler'] ?? ''), ageColumn],
});

interface Scheduling {
  nodeSelector?: Record<string, string>;
  tolerations?: Toleration[];
}

function validateScheduling({ nodeSelector, tolerations = [] }: Scheduling): StatusCause[] {
  const causes = validateLabels(nodeSelector, 'scheduling.nodeSelector');
  causes.push(...validateTolerations(tolerations, 'scheduling.tolerations.tolerations'));
  const seen = new Set<string>();
  for (const [index, { key, operator, value, effect }] of tolerations.entries()) {
    const identity = JSON.stringify([key, operator, value, effect]);
    if (seen.has(identity)) causes.push(duplicate(`scheduling.tolerations[${index}]`, tolerations[index]));
    seen.add(identity);
  }
  return causes;
}
