import type { KubeClient } from '../../kube/client.ts';
import { isConflict, isNotFound } from '../../kube/errors.ts';
import { type Node, objectKey, type Pod, resources, toTime } from '../../objects/client.ts';
import { backoffDelay } from '../../runtime/backoff.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/log.ts';
import { isMirrorPod, mirrorPod, mirrors } from '../render/static-pod.ts';

export interface MirrorParts {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Logger;
  /** The Node, once registered: mirror pods belong to it. */
  readonly node: () => Node | undefined;
  /** The pods in the API, by key; undefined until they are known. */
  readonly apiPods: () => ReadonlyMap<string, Pod> | undefined;
}

export interface Mirrors {
  /** The static pods that are to be shown. */
  want(pods: Iterable<Pod>): void;
  /** The API's pods or the Node have changed. */
  poke(): void;
  stop(): void;
}

/** Keeps one object in the API for each static pod, and none without one: what is missing is made, what is stale or being deleted replaced. */
export function createMirrors({ client, clock, log, node, apiPods }: MirrorParts): Mirrors {
  let wanted = new Map<string, Pod>();
  const busy = new Set<string>();
  const failures = new Map<string, number>();
  const timers = new Map<string, () => void>();
  let stopped = false;

  function poke(): void {
    const there = apiPods();
    if (stopped || !there || !node()) return;
    for (const [key, pod] of wanted) {
      const mirror = there.get(key);
      if (!mirror) attempt(key, () => create(pod));
      else if (isMirrorPod(mirror) && !mirrors(mirror, pod)) attempt(key, () => remove(mirror));
    }
    for (const [key, mirror] of there) if (isMirrorPod(mirror) && !wanted.has(key)) attempt(key, () => remove(mirror));
  }

  async function create(pod: Pod): Promise<void> {
    await client.create(resources.pods, mirrorPod(pod, node(), toTime(clock.now())));
  }

  async function remove({ metadata }: Pod): Promise<void> {
    await client
      .delete(resources.pods, metadata.name, metadata.namespace, { gracePeriodSeconds: 0, preconditions: { uid: metadata.uid! } })
      .catch((error: unknown) => {
        if (!isNotFound(error) && !isConflict(error)) throw error;
      });
  }

  /** One write of a key at a time, and after it a pause, so that its echo has come before the next look. */
  function attempt(key: string, write: () => Promise<void>): void {
    if (busy.has(key)) return;
    busy.add(key);
    write().then(
      () => {
        failures.delete(key);
        rest(key, 200);
      },
      (error: unknown) => {
        const count = (failures.get(key) ?? 0) + 1;
        failures.set(key, count);
        log[count < 4 ? 'debug' : 'warn']({ err: error, pod: key, failures: count }, 'a mirror pod could not be written, will retry');
        rest(key, backoffDelay(count, { base: 100, cap: 5_000, random: Math.random }));
      },
    );
  }

  function rest(key: string, delay: number): void {
    if (stopped) return;
    timers.set(
      key,
      clock.setTimer(delay, () => {
        timers.delete(key);
        busy.delete(key);
        poke();
      }),
    );
  }

  return {
    want(pods) {
      wanted = new Map([...pods].map((pod) => [objectKey(pod), pod]));
      poke();
    },
    poke,
    stop() {
      stopped = true;
      for (const cancel of timers.values()) cancel();
    },
  };
}
