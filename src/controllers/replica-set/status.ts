import { findCondition, isPodReady, matchesLabels, type Pod, type ReplicaSet } from '../../objects/client.ts';
import type { Failure } from '../controller.ts';
import { sameMeaning } from '../equal.ts';
import { availableAt, withCondition } from '../metadata.ts';

export interface StatusChange {
  /** The fields of status to patch; undefined when all stand already. */
  readonly patch: Record<string, unknown> | undefined;
  /** After how long (ms) a pod becomes available by time alone. */
  readonly nextChange: number | undefined;
}

/** The status that the active pods make. Pure. */
export function replicaSetStatus(replicaSet: ReplicaSet, pods: readonly Pod[], failure: Failure | undefined, now: number): StatusChange {
  const labels = replicaSet.spec.template?.metadata?.labels ?? {};
  const available = pods.map((pod) => availableAt(pod, replicaSet.spec.minReadySeconds ?? 0)).filter((at) => at !== undefined);
  const waiting = available.filter((at) => at > now);
  const before = replicaSet.status;
  const others = (before?.conditions ?? []).filter(({ type }) => type !== 'ReplicaFailure');
  const conditions = failure ? withCondition(before?.conditions, replicaFailure(replicaSet, pods, failure), now) : others;
  const status = {
    replicas: pods.length,
    fullyLabeledReplicas: pods.filter(({ metadata }) => matchesLabels(labels, metadata.labels)).length,
    readyReplicas: pods.filter(isPodReady).length,
    availableReplicas: available.length - waiting.length,
    observedGeneration: replicaSet.metadata.generation ?? 0,
  };
  const counts = ['replicas', 'fullyLabeledReplicas', 'readyReplicas', 'availableReplicas', 'observedGeneration'] as const;
  const same = before && counts.every((field) => (before[field] ?? 0) === status[field]) && sameMeaning(before.conditions, conditions);
  return {
    patch: same ? undefined : { ...status, conditions: conditions.length ? conditions : null },
    nextChange: waiting.length ? Math.max(1, Math.min(...waiting) - now) : undefined,
  };
}

function replicaFailure(replicaSet: ReplicaSet, pods: readonly Pod[], { message }: Failure) {
  const reason = pods.length < (replicaSet.spec.replicas ?? 1) ? 'FailedCreate' : 'FailedDelete';
  const before = findCondition(replicaSet.status?.conditions, 'ReplicaFailure');
  // Each try has another generated name in its error; the first one stays, or the status would be written again and again.
  return {
    type: 'ReplicaFailure',
    status: 'True',
    reason,
    message: before?.reason === reason ? (before.message ?? message) : message,
  } as const;
}
