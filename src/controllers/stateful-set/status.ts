import type { Pod, StatefulSet } from '../../objects/client.ts';
import { availableAt, isDeleting } from '../metadata.ts';
import { revisionOfPod } from './identity.ts';
import { isAvailable, isCreated, isRunningAndReady, type Situation } from './plan.ts';

const fields = [
  'observedGeneration',
  'replicas',
  'readyReplicas',
  'availableReplicas',
  'currentReplicas',
  'updatedReplicas',
  'currentRevision',
  'updateRevision',
  'collisionCount',
] as const;

export interface StatusChange {
  /** The fields of status to patch; undefined when all stand already. */
  readonly patch: Record<string, unknown> | undefined;
  /** After how long (ms) a pod becomes available by time alone. */
  readonly nextChange: number | undefined;
}

/** The status that the pods make. A rolling update is complete when all pods are of the update revision and ready. Pure. */
export function statefulSetStatus({ set, pods, current, update, now }: Situation): StatusChange {
  const created = pods.filter(isCreated);
  const ofRevision = (name: string): number => created.filter((pod) => !isDeleting(pod) && revisionOfPod(pod) === name).length;
  const ready = pods.filter(isRunningAndReady);
  const available = ready.filter((pod) => isAvailable(pod, set, now));
  const updated = ofRevision(update.metadata.name);
  const full = created.length === (set.spec.replicas ?? 1) && updated === created.length && ready.length === created.length;
  const complete = set.spec.updateStrategy?.type !== 'OnDelete' && full;
  const status = {
    observedGeneration: set.metadata.generation ?? 0,
    replicas: created.length,
    readyReplicas: ready.length,
    availableReplicas: available.length,
    currentReplicas: complete ? updated : ofRevision(current.metadata.name),
    updatedReplicas: updated,
    currentRevision: complete ? update.metadata.name : current.metadata.name,
    updateRevision: update.metadata.name,
    collisionCount: set.status?.collisionCount ?? 0,
  };
  const same = fields.every((field) => (set.status?.[field] ?? 0) === status[field]) && set.status?.collisionCount !== undefined;
  const waiting = ready.filter((pod) => !available.includes(pod)).map((pod) => timeLeft(pod, set, now));
  return { patch: same ? undefined : status, nextChange: waiting.length ? Math.max(1, Math.min(...waiting)) : undefined };
}

const timeLeft = (pod: Pod, { spec }: StatefulSet, now: number): number => (availableAt(pod, spec.minReadySeconds ?? 0) ?? now) - now;
