import { objectKey, type Pod } from '../../objects/client.ts';
import { adoptedPodState } from '../machine/types.ts';
import { isMirrorPod } from '../render/static-pod.ts';
import type { FoundPod } from '../runtime/runtime.ts';
import { type PodWorker, type PodWorkerParts, startPodWorker } from './pod-worker.ts';

export interface PodSet {
  /** Static pods by uid, all of them. */
  setStatic(pods: ReadonlyMap<string, Pod>): void;
  /** One pod of the API has changed; undefined `after`: it is gone. */
  change(before: Pod | undefined, after: Pod | undefined): void;
  /** All pods of the API are known now: what an earlier runner left of others may go. Gives what is to be removed. */
  orphans(): FoundPod[];
  pokeAll(): void;
  stop(): void;
  readonly workers: ReadonlyMap<string, PodWorker>;
}

/** The workers of all pods of the node, by uid. `found` is what earlier runners left. */
export function createPodSet(
  found: readonly FoundPod[],
  nodeName: string,
  parts: Omit<PodWorkerParts, 'onForgotten'>,
  onPod: () => void,
): PodSet {
  const left = new Map(found.map((pod) => [pod.ref.uid, pod]));
  const workers = new Map<string, PodWorker>();
  /** Static pods by the key under which the API shows them. */
  const statics = new Map<string, Pod>();
  const shown = new Map<string, Pod>();

  function start(pod: Pod, isStatic: boolean): PodWorker {
    const uid = pod.metadata.uid ?? '';
    const adopted = left.get(uid);
    left.delete(uid);
    const phase = pod.status?.phase;
    const ended = phase === 'Succeeded' || phase === 'Failed' ? phase : undefined;
    const remains = adopted
      ? { state: adoptedPodState(adopted.runs, adopted.lasts, ended), addresses: adopted.addresses }
      : ended
        ? { state: adoptedPodState(new Map(), new Map(), ended), addresses: undefined }
        : undefined;
    const worker = startPodWorker(pod, isStatic, remains, {
      ...parts,
      onForgotten: () => {
        if (workers.get(uid) === worker) workers.delete(uid);
        onPod();
        // A manifest that was taken away and put back while its pod was still ending.
        const again = [...statics.values()].find(({ metadata }) => metadata.uid === uid);
        if (again) show(start(again, true), again);
      },
    });
    workers.set(uid, worker);
    onPod();
    return worker;
  }

  /** Gives a static pod's worker the mirror that is there already. */
  function show(worker: PodWorker, pod: Pod): void {
    const mirror = shown.get(objectKey(pod));
    if (mirror && isMirrorPod(mirror)) worker.show(mirror);
  }

  function change(before: Pod | undefined, after: Pod | undefined): void {
    const pod = after ?? before!;
    if (pod.spec.nodeName !== nodeName) return;
    const key = objectKey(pod);
    if (after) shown.set(key, after);
    else shown.delete(key);
    const ofStatic = statics.get(key);
    if (ofStatic) workers.get(ofStatic.metadata.uid!)?.show(after && isMirrorPod(after) ? after : undefined);
    if (before && before.metadata.uid !== after?.metadata.uid && !isMirrorPod(before)) workers.get(before.metadata.uid ?? '')?.remove();
    if (!after || isMirrorPod(after)) return;
    const worker = workers.get(after.metadata.uid ?? '') ?? start(after, false);
    worker.update(after);
    worker.show(after);
  }

  return {
    workers,
    setStatic(pods) {
      for (const [key, { metadata }] of statics) {
        if (pods.has(metadata.uid!)) continue;
        statics.delete(key);
        workers.get(metadata.uid!)?.show(undefined);
        workers.get(metadata.uid!)?.remove();
      }
      for (const [uid, pod] of pods) {
        statics.set(objectKey(pod), pod);
        show(workers.get(uid) ?? start(pod, true), pod);
      }
    },
    change,
    orphans() {
      const rest = [...left.values()];
      left.clear();
      return rest;
    },
    pokeAll() {
      for (const worker of workers.values()) worker.poke();
    },
    stop() {
      for (const worker of workers.values()) worker.stop();
    },
  };
}
