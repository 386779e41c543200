import type { Clock } from '../../runtime/clock.ts';
import { StoreError } from '../store.ts';

/** How far the store's watch has come, and waiting for it to come further. */
export interface Progress {
  readonly revision: number;
  /** The watch has come to this revision: `deliver` tells the watchers, then who waits goes on. */
  advance(revision: number, deliver: () => void): void;
  /** etcd's revision. @throws StoreError `unavailable`. */
  read(): Promise<number>;
  /** Resolves once every change up to the revision is delivered. @throws StoreError `unavailable` when it takes too long. */
  reached(revision: number): Promise<void>;
  /** A revision not before any write acknowledged until now, delivered. @throws StoreError `unavailable`. */
  consistent(): Promise<number>;
  /** The revision of a key written now, delivered: an event that is certain to come. @throws StoreError `unavailable`. */
  fenced(): Promise<number>;
  /** Whoever waits is told so, now and from now on. */
  fail(error: Error): void;
}

export interface ProgressOptions {
  readonly start: number;
  readonly clock: Clock;
  /** Longest wait (ms). */
  readonly timeout: number;
  /** etcd's revision, by a linearizable read. */
  readRevision(): Promise<number>;
  /** Writes a key under the watched prefix; returns its revision. */
  fence(): Promise<number>;
}

/**
 * A revision that is not reached within this time (ms) belongs to a key outside of the prefix, of which no event comes. Then a key under the prefix
 * is written: its event comes after all others. (Asking etcd for progress would do without the write, but before 3.4.25 and 3.5.8 the answer
 * overtakes events: etcd issue 15220.)
 */
const fenceAfter = 25;

export function createProgress({ start, clock, timeout, readRevision, fence }: ProgressOptions): Progress {
  let revision = start;
  const waiting = new Set<{ readonly revision: number; finish(error?: Error): void }>();
  let failure: Error | undefined;
  let fencing = false;
  let fencedAt = 0;
  const readTurn = inTurns(readRevision);

  /** Has the fence written, once for all that wait for a revision before it. */
  async function nudge(): Promise<void> {
    const wanted = Math.max(0, ...[...waiting].map((waiter) => waiter.revision));
    if (fencing || failure || wanted <= fencedAt) return;
    fencing = true;
    try {
      fencedAt = await fence();
    } catch {
      // Those who wait are told when their time is over.
    }
    fencing = false;
    clock.setTimer(fenceAfter, () => void nudge());
  }

  function reached(wanted: number): Promise<void> {
    if (wanted <= revision) return Promise.resolve();
    if (failure) return Promise.reject(failure);
    return new Promise((resolve, reject) => {
      const waiter = {
        revision: wanted,
        finish(error?: Error) {
          cancelNudge();
          cancelTimeout();
          waiting.delete(waiter);
          if (error) reject(error);
          else resolve();
        },
      };
      const cancelNudge = clock.setTimer(fenceAfter, () => void nudge());
      const cancelTimeout = clock.setTimer(timeout, () =>
        waiter.finish(new StoreError('unavailable', `etcd's watch has not come to revision ${wanted} in time (it is at ${revision})`)),
      );
      waiting.add(waiter);
    });
  }

  return {
    get revision() {
      return revision;
    },
    advance(to, deliver) {
      revision = Math.max(revision, to);
      deliver();
      for (const waiter of waiting) if (waiter.revision <= revision) waiter.finish();
    },
    read: readTurn,
    reached,
    async consistent() {
      const wanted = await readTurn();
      await reached(wanted);
      return Math.max(wanted, revision);
    },
    async fenced() {
      const at = await fence();
      await reached(at);
      return at;
    },
    fail(error) {
      failure = error;
      for (const waiter of waiting) waiter.finish(error);
    },
  };
}

/** One run at a time; who asks while one is under way gets the result of the next, which began after asking. */
function inTurns<T>(run: () => Promise<T>): () => Promise<T> {
  let current: Promise<T> | undefined;
  let next: Promise<T> | undefined;
  const start = (): Promise<T> => {
    next = undefined;
    const mine = run();
    current = mine;
    const done = (): void => {
      if (current === mine) current = undefined;
    };
    void mine.catch(() => {}).finally(done);
    return mine;
  };
  return () => {
    if (!current) return start();
    next ??= current.then(start, start);
    return next;
  };
}
