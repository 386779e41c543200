import type { Deployment, Pod, ReplicaSet } from '../../objects/client.ts';
import type { Action } from '../action.ts';
import { isPodFinished } from '../metadata.ts';
import { replicasOf, rollingLimits, sum } from './limits.ts';
import { allowedNewReplicas, type Sets, scaleAction } from './replica-sets.ts';

const present = <T>(items: readonly (T | undefined)[]): T[] => items.filter((item) => item !== undefined);

/** One step of a rolling update: first the new replica set grows as far as it may, and only when it need not, the old ones shrink. */
export function rollingStep(deployment: Deployment, sets: Sets & { fresh: ReplicaSet }): Action[] {
  const wanted = replicasOf(deployment);
  const size = replicasOf(sets.fresh) > wanted ? wanted : allowedNewReplicas(deployment, sets);
  const grow = scaleAction(deployment, sets.fresh, size);
  return grow ? [grow] : shrinkOld(deployment, sets);
}

/** How far the old replica sets may shrink now: unhealthy pods first, then healthy ones while enough stay available (reconcileOldReplicaSets). */
function shrinkOld(deployment: Deployment, { fresh, old, all }: Sets & { fresh: ReplicaSet }): Action[] {
  if (sum(old, replicasOf) === 0) return [];
  const minAvailable = replicasOf(deployment) - rollingLimits(deployment).maxUnavailable;
  const newUnavailable = replicasOf(fresh) - (fresh.status?.availableReplicas ?? 0);
  const most = sum(all, replicasOf) - minAvailable - newUnavailable;
  if (most <= 0) return [];
  const sizes = new Map(old.map((replicaSet) => [replicaSet, replicasOf(replicaSet)]));
  const shrink = (replicaSet: ReplicaSet, by: number): number => {
    sizes.set(replicaSet, sizes.get(replicaSet)! - by);
    return by;
  };
  let left = most;
  for (const replicaSet of old) {
    const broken = Math.max(0, sizes.get(replicaSet)! - (replicaSet.status?.availableReplicas ?? 0));
    left -= shrink(replicaSet, Math.min(left, broken));
  }
  // The status of a replica set that was made smaller a moment ago still counts pods that are about to go: what is left of the first bound holds too.
  let healthy = Math.max(0, Math.min(left, sum(all, ({ status }) => status?.availableReplicas) - minAvailable));
  for (const replicaSet of old) healthy -= shrink(replicaSet, Math.min(healthy, sizes.get(replicaSet)!));
  return present(
    old.map((replicaSet) =>
      sizes.get(replicaSet) === replicasOf(replicaSet) ? undefined : scaleAction(deployment, replicaSet, sizes.get(replicaSet)!),
    ),
  );
}

/** Whether pods of the old replica sets are still there, ending ones too: Recreate waits for them. */
export const oldPodsRunning = (old: readonly ReplicaSet[], podsOf: (replicaSet: ReplicaSet) => readonly Pod[]): boolean =>
  old.some((replicaSet) => podsOf(replicaSet).some((pod) => !isPodFinished(pod)));

export const scaleToZero = (deployment: Deployment, old: readonly ReplicaSet[]): Action[] =>
  present(old.filter((replicaSet) => replicasOf(replicaSet) > 0).map((replicaSet) => scaleAction(deployment, replicaSet, 0)));
