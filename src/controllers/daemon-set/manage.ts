import { type DaemonSet, fromTime, isPodReady, type Node, type Pod } from '../../objects/client.ts';
import type { Action } from '../action.ts';
import { availableAt, byAge, isDeleting } from '../metadata.ts';
import { revisionHashLabel } from '../revisions/history.ts';
import { createPod, deletePod, placementOn } from './placement.ts';

/** At most this many pods are made, and as many deleted, in one turn, as in the reference. */
const burst = 250;
/** A pod that ended is not replaced before it is this old (ms), so that one that fails at once does not fail again and again. */
const replaceAfter = 10_000;

export interface Plan {
  readonly create: readonly string[];
  readonly remove: readonly Pod[];
  readonly events: readonly Action[];
  /** Look again after this long (ms). */
  readonly wait?: number;
}

export interface Daemons {
  readonly daemonSet: DaemonSet;
  readonly nodes: readonly Node[];
  /** By node; those on their way out included. */
  readonly pods: ReadonlyMap<string, readonly Pod[]>;
  readonly hash: string;
  readonly maxSurge: number;
  readonly now: number;
}

export const isUpToDate = (pod: Pod, hash: string): boolean => pod.metadata.labels?.[revisionHashLabel] === hash;

export function isAvailable(pod: Pod, { spec }: DaemonSet, now: number): boolean {
  const at = availableAt(pod, spec.minReadySeconds ?? 0);
  return at !== undefined && at <= now;
}

/** One pod on each node that should run it, none elsewhere; what ended is replaced (the reference's podsShouldBeOnNode). Pure. */
export function planPods(daemons: Daemons): Plan {
  const create: string[] = [];
  const remove: Pod[] = [];
  const events: Action[] = [];
  let wait: number | undefined;
  for (const node of daemons.nodes) {
    const here = daemons.pods.get(node.metadata.name) ?? [];
    const { shouldRun, mayStay } = placementOn(node, daemons.daemonSet);
    if (here.length === 0) {
      if (shouldRun) create.push(node.metadata.name);
    } else if (mayStay) {
      const ended = here.filter((pod) => !isDeleting(pod) && hasEnded(pod));
      for (const pod of ended) {
        const left = fromTime(pod.metadata.creationTimestamp) + replaceAfter - daemons.now;
        if (left > 0) wait = Math.min(wait ?? left, left);
        else {
          remove.push(pod);
          events.push(endedEvent(daemons.daemonSet, pod, node.metadata.name));
        }
      }
      remove.push(
        ...tooMany(
          here.filter((pod) => !isDeleting(pod) && !ended.includes(pod)),
          daemons,
        ),
      );
    } else {
      remove.push(...here.filter((pod) => !isDeleting(pod)));
    }
  }
  const known = new Set(daemons.nodes.map(({ metadata }) => metadata.name));
  // Pods that wait for a node that is gone will never run; those that ran there are the pod collector's.
  for (const [name, pods] of daemons.pods)
    if (!known.has(name)) remove.push(...pods.filter((pod) => !pod.spec.nodeName && !isDeleting(pod)));
  return { create, remove, events, ...(wait === undefined ? {} : { wait }) };
}

const hasEnded = ({ status }: Pod): boolean => status?.phase === 'Failed' || status?.phase === 'Succeeded';

function endedEvent(daemonSet: DaemonSet, pod: Pod, nodeName: string): Action {
  const failed = pod.status?.phase === 'Failed';
  const what = `daemon pod ${pod.metadata.namespace}/${pod.metadata.name} on node ${nodeName}`;
  return {
    do: 'event',
    event: {
      regarding: daemonSet,
      type: failed ? 'Warning' : 'Normal',
      reason: failed ? 'FailedDaemonPod' : 'SucceededDaemonPod',
      message: failed ? `Found failed ${what}, will try to kill it` : `Found succeeded ${what}, will try to delete it`,
    },
  };
}

/** All but the oldest; while surging, an old pod and a new one may stand side by side until the new one is available. */
function tooMany(running: readonly Pod[], { daemonSet, hash, maxSurge, now }: Daemons): readonly Pod[] {
  const sorted = [...running].sort(byAge);
  if (sorted.length <= 1) return [];
  if (maxSurge === 0) return sorted.slice(1);
  const fresh = sorted.find((pod) => isUpToDate(pod, hash));
  const old = sorted.find((pod) => !isUpToDate(pod, hash));
  const rest = sorted.filter((pod) => pod !== fresh && pod !== old);
  const done = old && fresh && (!isPodReady(old) || isAvailable(fresh, daemonSet, now));
  return done ? [old, ...rest] : rest;
}

export function planActions(daemonSet: DaemonSet, { create, remove, events }: Plan, hash: string): Action[] {
  return [
    ...events,
    ...together(create.slice(0, burst).map((nodeName) => createPod(daemonSet, nodeName, hash))),
    ...together(remove.slice(0, burst).map((pod) => deletePod(daemonSet, pod))),
  ];
}

const together = (actions: readonly Action[]): Action[] => (actions.length > 0 ? [{ do: 'together', actions }] : []);
