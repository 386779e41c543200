import { type DaemonSet, isPodReady, type Node, type Pod } from '../../objects/client.ts';
import { availableAt, byAge } from '../metadata.ts';
import { isAvailable, isUpToDate } from './manage.ts';
import { placementOn } from './placement.ts';

const counts = [
  'desiredNumberScheduled',
  'currentNumberScheduled',
  'numberMisscheduled',
  'numberReady',
  'updatedNumberScheduled',
  'numberAvailable',
  'numberUnavailable',
  'observedGeneration',
  'collisionCount',
] as const;

export interface StatusChange {
  /** The fields of status to patch; undefined when all stand already. */
  readonly patch: Record<string, unknown> | undefined;
  /** After how long (ms) a pod becomes available by time alone. */
  readonly nextChange: number | undefined;
}

/** The status that the pods on the nodes make; of several on one node the oldest counts. Pure. */
export function daemonSetStatus(
  daemonSet: DaemonSet,
  nodes: readonly Node[],
  pods: ReadonlyMap<string, readonly Pod[]>,
  hash: string | undefined,
  collisionCount: number | undefined,
  now: number,
): StatusChange {
  let [desired, current, misscheduled, ready, updated, available] = [0, 0, 0, 0, 0, 0];
  const waiting: number[] = [];
  for (const node of nodes) {
    const [pod] = [...(pods.get(node.metadata.name) ?? [])].sort(byAge);
    if (!placementOn(node, daemonSet).shouldRun) {
      if (pod) misscheduled++;
      continue;
    }
    desired++;
    if (!pod) continue;
    current++;
    if (isPodReady(pod)) ready++;
    if (isAvailable(pod, daemonSet, now)) available++;
    else {
      const at = availableAt(pod, daemonSet.spec.minReadySeconds ?? 0);
      if (at !== undefined) waiting.push(at - now);
    }
    if (hash !== undefined && isUpToDate(pod, hash)) updated++;
  }
  const status = {
    desiredNumberScheduled: desired,
    currentNumberScheduled: current,
    numberMisscheduled: misscheduled,
    numberReady: ready,
    updatedNumberScheduled: updated,
    numberAvailable: available,
    numberUnavailable: desired - available,
    observedGeneration: daemonSet.metadata.generation ?? 0,
    ...(collisionCount === undefined ? {} : { collisionCount }),
  };
  const same = counts.every((field) => (daemonSet.status?.[field] ?? 0) === (status[field] ?? 0)) && daemonSet.status !== undefined;
  return { patch: same ? undefined : status, nextChange: waiting.length ? Math.max(1, Math.min(...waiting)) : undefined };
}
