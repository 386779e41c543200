import { type Condition, type Deployment, findCondition, fromTime, toTime } from '../../objects/client.ts';
import { sameMeaning } from '../equal.ts';
import { replicasOf, rollingLimits, sum } from './limits.ts';
import type { Sets } from './replica-sets.ts';

type Status = NonNullable<Deployment['status']>;

/** The largest int32 stands for "no deadline". */
const noDeadline = 2_147_483_647;

const deadlineOf = ({ spec }: Deployment): number | undefined =>
  spec.progressDeadlineSeconds === undefined || spec.progressDeadlineSeconds === noDeadline
    ? undefined
    : spec.progressDeadlineSeconds * 1_000;

/** A condition as the reference sets it: nothing moves while status and reason stay, lastTransitionTime only with the status. */
function setCondition(
  conditions: readonly Condition[],
  next: Pick<Condition, 'type' | 'status'> & { reason: string; message: string },
  now: number,
  refresh = false,
): Condition[] {
  const before = findCondition(conditions, next.type);
  if (before && before.status === next.status && before.reason === next.reason && !refresh) return [...conditions];
  const time = toTime(now);
  const transition = before?.status === next.status ? (before.lastTransitionTime ?? time) : time;
  const { type, status, reason, message } = next;
  const made: Condition = { type, status, lastUpdateTime: time, lastTransitionTime: transition, reason, message };
  return [...conditions.filter((condition) => condition.type !== type), made];
}

export interface ProgressNote {
  readonly reason: 'NewReplicaSetCreated' | 'FoundNewReplicaSet';
  readonly name: string;
}

/** What status should be, given the replica sets as they are. `note` tells what this turn did with the new one. Pure. */
export function deploymentStatus(deployment: Deployment, sets: Sets, note: ProgressNote | undefined, now: number): Status {
  const before = deployment.status ?? {};
  const available = sum(sets.all, ({ status }) => status?.availableReplicas);
  const status: Status = {
    observedGeneration: deployment.metadata.generation ?? 0,
    replicas: sum(sets.all, ({ status: own }) => own?.replicas),
    updatedReplicas: sets.fresh?.status?.replicas ?? 0,
    readyReplicas: sum(sets.all, ({ status: own }) => own?.readyReplicas),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, sum(sets.all, replicasOf) - available),
    ...(before.collisionCount === undefined ? {} : { collisionCount: before.collisionCount }),
  };
  const enough = available >= replicasOf(deployment) - rollingLimits(deployment).maxUnavailable;
  let conditions = setCondition(before.conditions ?? [], enough ? minimumAvailable : minimumUnavailable, now);
  conditions = progressing(deployment, status, conditions, sets, note, now);
  conditions = replicaFailure(conditions, sets, now);
  return { ...status, conditions };
}

const minimumAvailable = {
  type: 'Available',
  status: 'True',
  reason: 'MinimumReplicasAvailable',
  message: 'Deployment has minimum availability.',
} as const;
const minimumUnavailable = {
  type: 'Available',
  status: 'False',
  reason: 'MinimumReplicasUnavailable',
  message: 'Deployment does not have minimum availability.',
} as const;

function progressing(
  deployment: Deployment,
  status: Status,
  conditions: Condition[],
  sets: Sets,
  note: ProgressNote | undefined,
  now: number,
): Condition[] {
  if (deadlineOf(deployment) === undefined) return conditions.filter(({ type }) => type !== 'Progressing');
  const current = findCondition(conditions, 'Progressing');
  const set = (value: 'True' | 'False' | 'Unknown', reason: string, message: string, refresh = false): Condition[] =>
    setCondition(conditions, { type: 'Progressing', status: value, reason, message }, now, refresh);
  if (deployment.spec.paused)
    return current?.reason === timedOut || current?.reason === paused ? conditions : set('Unknown', paused, 'Deployment is paused');
  if (current?.reason === paused) return set('Unknown', 'DeploymentResumed', 'Deployment is resumed');
  const subject = sets.fresh
    ? `ReplicaSet ${JSON.stringify(sets.fresh.metadata.name)}`
    : `Deployment ${JSON.stringify(deployment.metadata.name)}`;
  if (note?.reason === 'NewReplicaSetCreated') return set('True', note.reason, `Created new replica set ${JSON.stringify(note.name)}`);
  if (note && !current) return set('True', note.reason, `Found new replica set ${JSON.stringify(note.name)}`);
  if (status.replicas === status.updatedReplicas && current?.reason === newAvailable) return conditions;
  if (isComplete(deployment, status)) return set('True', newAvailable, `${subject} has successfully progressed.`);
  if (movedOn(deployment.status ?? {}, status)) return set('True', 'ReplicaSetUpdated', `${subject} is progressing.`, true);
  if (hasTimedOut(deployment, current, now)) return set('False', timedOut, `${subject} has timed out progressing.`);
  return conditions;
}

const paused = 'DeploymentPaused';
const newAvailable = 'NewReplicaSetAvailable';
const timedOut = 'ProgressDeadlineExceeded';

export function isComplete(deployment: Deployment, status: Status): boolean {
  const wanted = replicasOf(deployment);
  const counts = [status.updatedReplicas, status.replicas, status.availableReplicas];
  return counts.every((count) => (count ?? 0) === wanted) && (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0);
}

function movedOn(before: Status, after: Status): boolean {
  const old = ({ replicas = 0, updatedReplicas = 0 }: Status): number => replicas - updatedReplicas;
  const more = (['updatedReplicas', 'readyReplicas', 'availableReplicas'] as const).some(
    (field) => (after[field] ?? 0) > (before[field] ?? 0),
  );
  return more || old(after) < old(before);
}

function hasTimedOut(deployment: Deployment, current: Condition | undefined, now: number): boolean {
  if (!current || current.reason === newAvailable) return false;
  return current.reason === timedOut || fromTime(current.lastUpdateTime) + deadlineOf(deployment)! < now;
}

/** The first failure a replica set reports, the new one's before the others'. */
function replicaFailure(conditions: Condition[], { fresh, all }: Sets, now: number): Condition[] {
  const failures = [...(fresh ? [fresh] : []), ...all].flatMap(({ status }) => findCondition(status?.conditions, 'ReplicaFailure') ?? []);
  const [first] = failures;
  if (!first) return conditions.filter(({ type }) => type !== 'ReplicaFailure');
  return setCondition(
    conditions,
    { type: 'ReplicaFailure', status: first.status, reason: first.reason ?? '', message: first.message ?? '' },
    now,
  );
}

/** The merge patch that makes `after` of the status as it stands; undefined when it stands already. */
export function statusPatch(before: Status | undefined, after: Status): Record<string, unknown> | undefined {
  if (before && sameMeaning(zeroless(before), zeroless(after))) return undefined;
  return { ...after, conditions: after.conditions?.length ? after.conditions : null };
}

/** Go leaves zeros out of status, and a server may as well. */
const zeroless = (status: Status): Record<string, unknown> => Object.fromEntries(Object.entries(status).filter(([, value]) => value !== 0));

/** How long until a rollout that does not move must be called timed out (ms). */
export function untilDeadline(deployment: Deployment, status: Status, now: number): number | undefined {
  const deadline = deadlineOf(deployment);
  const current = findCondition(status.conditions, 'Progressing');
  if (deadline === undefined || !current || deployment.spec.paused || isComplete(deployment, status)) return undefined;
  if (current.reason === timedOut || current.reason === newAvailable) return undefined;
  return Math.max(1_000, fromTime(current.lastUpdateTime) + deadline - now + 1_000);
}
