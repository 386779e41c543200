import type { Deployment, ReplicaSet } from '../../objects/client.ts';
import type { Action } from '../action.ts';
import { byAge } from '../metadata.ts';
import { isRolling, replicasOf, rollingLimits, sum } from './limits.ts';
import { type Sets, scaleAction } from './replica-sets.ts';
import { desiredAnnotation, maxAnnotation } from './revision.ts';

/** Whether the deployment's size changed since its replica sets were sized: then they are scaled, not rolled. */
export const isScalingEvent = (deployment: Deployment, { all }: Sets): boolean =>
  all.some((replicaSet) => {
    const remembered = replicaSet.metadata.annotations?.[desiredAnnotation];
    return replicasOf(replicaSet) > 0 && remembered !== undefined && Number(remembered) !== replicasOf(deployment);
  });

/** Brings the replica sets to the deployment's size: the only active one whole, several in proportion to what they have (sync.go, scale). */
export function scaleSets(deployment: Deployment, sets: Sets): Action[] {
  const wanted = replicasOf(deployment);
  const active = sets.all.filter((replicaSet) => replicasOf(replicaSet) > 0);
  const only = active.length === 0 ? (sets.fresh ?? sets.old.at(-1)) : active.length === 1 ? active[0] : undefined;
  if (only) return actions([scaleAction(deployment, only, wanted)]);
  if (sets.fresh && isSaturated(deployment, sets.fresh)) {
    return actions(active.filter((replicaSet) => replicaSet !== sets.fresh).map((replicaSet) => scaleAction(deployment, replicaSet, 0)));
  }
  if (!isRolling(deployment)) return [];
  const sizes = proportionalSizes(deployment, active);
  return actions(active.map((replicaSet) => scaleAction(deployment, replicaSet, sizes.get(replicaSet)!)));
}

const actions = (items: readonly (Action | undefined)[]): Action[] => items.filter((item) => item !== undefined);

const isSaturated = (deployment: Deployment, fresh: ReplicaSet): boolean =>
  replicasOf(fresh) === replicasOf(deployment) &&
  Number(fresh.metadata.annotations?.[desiredAnnotation]) === replicasOf(deployment) &&
  fresh.status?.availableReplicas === replicasOf(deployment);

/** The sizes of several active replica sets such that together they fill what the deployment allows; the largest takes what rounding leaves. */
export function proportionalSizes(deployment: Deployment, active: readonly ReplicaSet[]): Map<ReplicaSet, number> {
  const wanted = replicasOf(deployment);
  const allowed = wanted > 0 ? wanted + rollingLimits(deployment).maxSurge : 0;
  const toAdd = allowed - sum(active, replicasOf);
  // Growing favours newer ones among equals, shrinking older ones.
  const sorted = [...active].sort((a, b) => replicasOf(b) - replicasOf(a) || (toAdd > 0 ? byAge(b, a) : byAge(a, b)));
  let added = 0;
  const sizes = new Map<ReplicaSet, number>();
  for (const replicaSet of sorted) {
    const share = toAdd === 0 ? 0 : shareOf(deployment, replicaSet, allowed);
    const bounded = toAdd > 0 ? Math.min(share, toAdd - added) : Math.max(share, toAdd - added);
    sizes.set(replicaSet, replicasOf(replicaSet) + bounded);
    added += bounded;
  }
  const [largest] = sorted;
  if (largest && toAdd !== 0) sizes.set(largest, Math.max(0, sizes.get(largest)! + toAdd - added));
  return sizes;
}

function shareOf(deployment: Deployment, replicaSet: ReplicaSet, allowed: number): number {
  const size = replicasOf(replicaSet);
  if (replicasOf(deployment) === 0) return -size;
  const before = Number(replicaSet.metadata.annotations?.[maxAnnotation]) || deployment.status?.replicas || allowed;
  return Math.round((size * allowed) / before) - size;
}
