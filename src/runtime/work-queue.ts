import { backoffDelay } from './backoff.ts';
import type { Clock } from './clock.ts';

export interface WorkQueueOptions {
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  /** Delay before the first retry of a key and the longest one (ms). client-go: 5 ms and 1000 s. */
  readonly backoff: { readonly base: number; readonly cap: number };
  /** Called whenever a key may have become ready to be taken. */
  onReady(): void;
  /** For metrics: a key was added, which was not waiting already. */
  onAdd?(): void;
}

/**
 * A queue of keys in the manner of client-go's workqueue: a key waits once however often it is added; it is never handed out again before it is
 * done; added while in hand, it comes again afterwards; each key has its own backoff, so that one that fails holds up no other.
 */
export interface WorkQueue {
  add(key: string): void;
  /** Adds the key after a delay (ms), unless an earlier one is set already. */
  addAfter(key: string, delay: number): void;
  /** Adds the key after its backoff, which doubles with each retry. */
  retry(key: string): void;
  /** Ends the key's backoff. */
  forget(key: string): void;
  /** How often the key was retried since it was last forgotten. */
  failures(key: string): number;
  /** The key that has waited longest and since when (monotonic ms); undefined when none is ready. It must be given back with done. */
  take(): { readonly key: string; readonly since: number } | undefined;
  done(key: string): void;
  /** Keys waiting to be taken. */
  readonly depth: number;
  /** Forgets everything; nothing is ready ever after. */
  close(): void;
}

export function createWorkQueue({ clock, random, backoff, onReady, onAdd }: WorkQueueOptions): WorkQueue {
  const waiting = new Map<string, number>();
  const inHand = new Set<string>();
  const dirty = new Set<string>();
  const failures = new Map<string, number>();
  const timers = new Map<string, { due: number; cancel: () => void }>();
  let closed = false;

  const queue: WorkQueue = {
    add(key) {
      if (closed || waiting.has(key) || dirty.has(key)) return;
      onAdd?.();
      if (inHand.has(key)) return void dirty.add(key);
      waiting.set(key, clock.monotonic());
      onReady();
    },
    addAfter(key, delay) {
      if (closed) return;
      if (delay <= 0) return queue.add(key);
      const due = clock.monotonic() + delay;
      const before = timers.get(key);
      if (before && before.due <= due) return;
      before?.cancel();
      // Longer than a timer can run (2^31 ms): the key is looked at early, which harms nobody.
      const cancel = clock.setTimer(Math.min(delay, 2_000_000_000), () => {
        timers.delete(key);
        queue.add(key);
      });
      timers.set(key, { due, cancel });
    },
    retry(key) {
      const count = (failures.get(key) ?? 0) + 1;
      failures.set(key, count);
      queue.addAfter(key, backoffDelay(count, { ...backoff, random }));
    },
    forget: (key) => void failures.delete(key),
    failures: (key) => failures.get(key) ?? 0,
    take() {
      const [next] = waiting;
      if (!next) return undefined;
      const [key, since] = next;
      waiting.delete(key);
      inHand.add(key);
      return { key, since };
    },
    done(key) {
      inHand.delete(key);
      if (!dirty.delete(key) || closed) return;
      waiting.set(key, clock.monotonic());
      onReady();
    },
    get depth() {
      return waiting.size;
    },
    close() {
      closed = true;
      for (const { cancel } of timers.values()) cancel();
      timers.clear();
      waiting.clear();
      dirty.clear();
    },
  };
  return queue;
}
