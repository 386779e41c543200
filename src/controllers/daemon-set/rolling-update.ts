import type { DaemonSet, IntOrString, Pod } from '../../objects/client.ts';
import { isDeleting } from '../metadata.ts';
import { type Daemons, isAvailable, isUpToDate, type Plan } from './manage.ts';
import { placementOn } from './placement.ts';

export interface Limits {
  readonly maxSurge: number;
  readonly maxUnavailable: number;
}

/** maxSurge and maxUnavailable as numbers of nodes, percentages rounded up, of those that should run a pod; never both 0. */
export function updateLimits({ spec }: DaemonSet, wanted: number): Limits {
  const { maxSurge = 0, maxUnavailable = 1 } = spec.updateStrategy?.rollingUpdate ?? {};
  const surge = countOf(maxSurge, wanted);
  const unavailable = countOf(maxUnavailable, wanted);
  return { maxSurge: surge, maxUnavailable: surge === 0 && unavailable === 0 ? 1 : unavailable };
}

function countOf(value: IntOrString, total: number): number {
  if (typeof value === 'number') return Math.max(0, value);
  const match = /^(\d{1,6})%$/.exec(value);
  return match ? Math.ceil((Number(match[1]) * total) / 100) : 0;
}

/** What one step of a rolling update deletes, and where it makes pods beside old ones. Pure; sees the pods of one moment. */
export const planUpdate = (daemons: Daemons, limits: Limits): Plan =>
  limits.maxSurge > 0 ? surge(daemons, limits.maxSurge) : replace(daemons, limits.maxUnavailable);

interface OnNode {
  readonly nodeName: string;
  readonly fresh: Pod | undefined;
  readonly old: Pod | undefined;
  /** More than one of either kind: the other plan must put that right first. */
  readonly unsettled: boolean;
}

function byNode({ pods, hash }: Daemons): OnNode[] {
  return [...pods].map(([nodeName, here]) => {
    const staying = here.filter((pod) => !isDeleting(pod));
    const fresh = staying.filter((pod) => isUpToDate(pod, hash));
    const old = staying.filter((pod) => !isUpToDate(pod, hash));
    return { nodeName, fresh: fresh[0], old: old[0], unsettled: fresh.length > 1 || old.length > 1 };
  });
}

/** Deletes old pods, so that new ones can be made in their place: those that are not available at once, others while enough stay. */
function replace(daemons: Daemons, maxUnavailable: number): Plan {
  const broken: Pod[] = [];
  const candidates: Pod[] = [];
  let unavailable = 0;
  for (const { fresh, old, unsettled } of byNode(daemons)) {
    if (unsettled || (fresh === undefined) === (old === undefined)) unavailable++;
    else if (fresh) unavailable += isAvailable(fresh, daemons.daemonSet, daemons.now) ? 0 : 1;
    else if (isAvailable(old!, daemons.daemonSet, daemons.now)) candidates.push(old!);
    else broken.push(old!);
  }
  // A pod that is not available already is deleted without asking, but its node stays one of those that lack a pod.
  return { create: [], remove: [...broken, ...candidates.slice(0, Math.max(0, maxUnavailable - unavailable))], events: [] };
}

/** Makes new pods beside old ones, on `maxSurge` nodes at a time, and deletes the old ones once the new are available. */
function surge(daemons: Daemons, maxSurge: number): Plan {
  const shouldRun = new Set(
    daemons.nodes.filter((node) => placementOn(node, daemons.daemonSet).shouldRun).map(({ metadata }) => metadata.name),
  );
  const available = (pod: Pod): boolean => isAvailable(pod, daemons.daemonSet, daemons.now);
  const remove: Pod[] = [];
  const atOnce: string[] = [];
  const candidates: string[] = [];
  let surging = 0;
  for (const { nodeName, fresh, old, unsettled } of byNode(daemons)) {
    if (unsettled) surging++;
    else if (!old) continue;
    else if (!fresh) {
      if (!shouldRun.has(nodeName)) continue;
      (available(old) ? candidates : atOnce).push(nodeName);
    } else if (!available(old) || available(fresh)) remove.push(old);
    else surging++;
  }
  return { create: [...atOnce, ...candidates.slice(0, Math.max(0, maxSurge - surging))], remove, events: [] };
}
