import { type ControllerRevision, isPodReady, objectKey, type Pod, type StatefulSet } from '../../objects/client.ts';
import type { Action } from '../action.ts';
import { availableAt, isDeleting, isPodFinished } from '../metadata.ts';
import { createPod, deletePod, nameOf, ordinalOf, repairIdentity, revisionOfPod } from './identity.ts';

export interface Situation {
  readonly set: StatefulSet;
  /** The set's pods, in any order. */
  readonly pods: readonly Pod[];
  readonly current: ControllerRevision;
  readonly update: ControllerRevision;
  readonly now: number;
}

export const isCreated = ({ status }: Pod): boolean => (status?.phase ?? '') !== '';
export const isRunningAndReady = (pod: Pod): boolean => pod.status?.phase === 'Running' && isPodReady(pod);
const isHealthy = (pod: Pod): boolean => isRunningAndReady(pod) && !isDeleting(pod);

export function isAvailable(pod: Pod, { spec }: StatefulSet, now: number): boolean {
  const at = isRunningAndReady(pod) ? availableAt(pod, spec.minReadySeconds ?? 0) : undefined;
  return at !== undefined && at <= now;
}

const startOf = ({ spec }: StatefulSet): number => spec.ordinals?.start ?? 0;
const partitionOf = ({ spec }: StatefulSet): number => spec.updateStrategy?.rollingUpdate?.partition ?? 0;

interface Places {
  /** By place: the pod with ordinal start + place, undefined where none is. */
  readonly wanted: readonly (Pod | undefined)[];
  /** Pods with other ordinals, highest first. */
  readonly condemned: readonly Pod[];
}

function placesOf({ set, pods }: Situation): Places {
  const start = startOf(set);
  const count = set.spec.replicas ?? 1;
  const byOrdinal = new Map(pods.map((pod) => [ordinalOf(set, pod) ?? -1, pod]));
  const condemned = [...byOrdinal].filter(([ordinal]) => ordinal < start || ordinal >= start + count).sort(([a], [b]) => b - a);
  return {
    wanted: Array.from({ length: count }, (_, place) => byOrdinal.get(start + place)),
    condemned: condemned.map(([, pod]) => pod),
  };
}

/**
 * The next step for the set's pods: makes missing ones in order, deletes those beyond its size in reverse order, and replaces those of an old
 * revision from the last to the first. With podManagementPolicy Parallel making and deleting wait for nothing; updating always does. Pure.
 */
export function planPods(situation: Situation): Action[] {
  const places = placesOf(situation);
  const patient = situation.set.spec.podManagementPolicy !== 'Parallel';
  const { actions, done } = makePods(situation, places, patient);
  if (!done) return actions;
  const removal = removePods(situation, places, patient);
  if (!removal.done) return [...actions, ...removal.actions];
  return [...actions, ...removal.actions, ...updatePods(situation, places)];
}

interface Progress {
  readonly actions: Action[];
  /** Nothing of this step need be waited for. */
  readonly done: boolean;
}

function makePods(situation: Situation, { wanted }: Places, patient: boolean): Progress {
  const { set, now } = situation;
  const actions: Action[] = [];
  const creates: Action[] = [];
  for (const [place, pod] of wanted.entries()) {
    const ordinal = startOf(set) + place;
    if (!pod) {
      creates.push(createPod(set, ordinal, revisionFor(situation, place)));
      if (patient) break;
    } else if (isPodFinished(pod)) {
      if (!isDeleting(pod)) actions.push(endedEvent(set, pod), deletePod(set, pod));
      if (patient) return { actions, done: false };
    } else {
      if (patient && (isDeleting(pod) || !isCreated(pod) || !isAvailable(pod, set, now))) return { actions, done: false };
      actions.push(...[repairIdentity(set, ordinal, pod)].filter((action) => action !== undefined));
    }
  }
  if (creates.length > 0) actions.push({ do: 'together', actions: creates });
  return { actions, done: creates.length === 0 || !patient };
}

/** Below the partition a pod comes back as it was; above it as it is to be. */
const revisionFor = ({ set, current, update }: Situation, place: number): ControllerRevision =>
  set.spec.updateStrategy?.type !== 'OnDelete' && place < partitionOf(set) ? current : update;

function endedEvent(set: StatefulSet, pod: Pod): Action {
  const failed = pod.status?.phase === 'Failed';
  return {
    do: 'event',
    event: {
      regarding: set,
      type: failed ? 'Warning' : 'Normal',
      reason: failed ? 'RecreatingFailedPod' : 'RecreatingTerminatedPod',
      message: `StatefulSet ${objectKey(set)} is recreating ${failed ? 'failed' : 'terminated'} Pod ${pod.metadata.name}`,
    },
  };
}

function removePods({ set, now }: Situation, { wanted, condemned }: Places, patient: boolean): Progress {
  if (!patient) return { actions: condemned.filter((pod) => !isDeleting(pod)).map((pod) => deletePod(set, pod)), done: true };
  const [pod] = condemned;
  if (!pod) return { actions: [], done: true };
  // Each waits until the one before it is gone; one that is not well may go, unless another that is not well comes before it.
  const firstUnhealthy = wanted.find((other) => other && !isHealthy(other)) ?? condemned.findLast((other) => !isHealthy(other));
  const mustWait = isDeleting(pod) || (!isAvailable(pod, set, now) && pod !== firstUnhealthy);
  return { actions: mustWait ? [] : [deletePod(set, pod)], done: false };
}

/** Deletes the last pod that is not of the update revision, once all behind it are well again. */
function updatePods({ set, update }: Situation, { wanted }: Places): Action[] {
  if (set.spec.updateStrategy?.type === 'OnDelete') return [];
  for (let place = wanted.length - 1; place >= partitionOf(set); place--) {
    const pod = wanted[place];
    if (!pod) return [];
    if (revisionOfPod(pod) !== update.metadata.name && !isDeleting(pod)) return [deletePod(set, pod)];
    if (!isHealthy(pod)) return [];
  }
  return [];
}

/** Claims of volumes cannot be made here; the pods that would rely on them are not made either. */
export function refuseClaims(set: StatefulSet): Action[] {
  const pod = nameOf(set, startOf(set));
  const reason = 'PersistentVolumeClaims are not served by this cluster; remove spec.volumeClaimTemplates or use an emptyDir volume';
  const note = (message: string): Action => ({ do: 'event', event: { regarding: set, type: 'Warning', reason: 'FailedCreate', message } });
  return [
    ...(set.spec.volumeClaimTemplates ?? []).map(({ metadata }) =>
      note(`create Claim ${metadata.name}-${pod} for Pod ${pod} in StatefulSet ${set.metadata.name} failed error: ${reason}`),
    ),
    note(`create Pod ${pod} in StatefulSet ${set.metadata.name} failed error: ${reason}`),
  ];
}
