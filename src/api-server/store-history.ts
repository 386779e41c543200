import { backoffDelay } from '../runtime/backoff.ts';
import { type Clock, sleep } from '../runtime/clock.ts';
import type { Store, StoredValue, StoreEvent } from '../storage/index.ts';
import { storePrefix } from './cached-object.ts';
import type { ResourceCache } from './resource-cache.ts';

/** From which revision on the history of each resource is complete; what is older is forgotten in the caches as the store forgets it. */
export interface OldestRevisions {
  of(cache: ResourceCache | undefined): number;
  /** To be called after each change: lets go of what the store has let go of. */
  follow(changed: ResourceCache | undefined): void;
  /** Nothing from before the revision is complete. */
  raise(revision: number): void;
}

export function createOldestRevisions(store: Store, caches: readonly ResourceCache[]): OldestRevisions {
  const prefixes = new Map(caches.map((cache) => [cache, storePrefix(cache.kind.resource)]));
  const oldest = new Map(caches.map((cache) => [cache, store.compactedRevision(prefixes.get(cache))]));
  let everywhere = store.compactedRevision();
  let gap = 0;
  const update = (cache: ResourceCache): void => {
    const now = Math.max(gap, store.compactedRevision(prefixes.get(cache)));
    if (now === oldest.get(cache)) return;
    oldest.set(cache, now);
    cache.forgetUpTo(now);
  };
  return {
    of: (cache) => (cache && oldest.get(cache)) ?? everywhere,
    follow(changed) {
      if (changed) update(changed);
      if (store.compactedRevision() === everywhere) return;
      everywhere = store.compactedRevision();
      for (const cache of caches) update(cache);
    },
    raise(revision) {
      gap = revision;
      for (const cache of caches) update(cache);
    },
  };
}

export interface Following {
  onEvent(event: StoreEvent): void;
  /** Everything up to the revision has been told. */
  reach(revision: number): void;
  /** Everything that stands, as far as it has been told. */
  known(): Iterable<StoredValue>;
  /** What came between the last event and this revision is told in one go: its history is not complete. */
  atGap(revision: number): void;
}

/**
 * Watches the whole store. When the store cannot go on without a gap, everything is listed anew and what changed meanwhile is told as events: each
 * object's last state, and what has gone. Who watches goes on; who comes back with a revision from within the gap is told that it expired.
 * @throws what the store's watch throws, at the start alone.
 */
export async function watchOverGaps(store: Store, clock: Clock, start: number, following: Following): Promise<{ stop(): void }> {
  const stopping = new AbortController();
  let subscription = await follow(start);

  function follow(from: number): Promise<{ stop(): void }> {
    return store.watch('/registry/', from, (event) => following.onEvent(event), {
      progress: (revision) => following.reach(revision),
      lost: () => void bridge(),
    });
  }

  async function bridge(): Promise<void> {
    for (let failures = 1; !stopping.signal.aborted; failures++) {
      try {
        const { revision, values } = await store.list('/registry/');
        for (const event of eventsBetween(following.known(), values, revision)) following.onEvent(event);
        following.atGap(revision);
        following.reach(revision);
        subscription = await follow(revision);
        if (stopping.signal.aborted) subscription.stop();
        return;
      } catch {
        // The store tells in its own health what is wrong with it.
        await sleep(clock, backoffDelay(failures, { base: 100, cap: 5_000, random: Math.random }), stopping.signal);
      }
    }
  }

  return {
    stop() {
      stopping.abort();
      subscription.stop();
    },
  };
}

/** From what was known to what stands, as events in order of revision. What is gone went at the last revision, for want of knowing better. */
function eventsBetween(known: Iterable<StoredValue>, values: readonly StoredValue[], revision: number): StoreEvent[] {
  const before = new Map(Array.from(known, (value) => [value.key, value]));
  const changes: StoreEvent[] = [];
  for (const { key, value, modRevision } of values) {
    const previous = before.get(key);
    before.delete(key);
    if (previous?.modRevision !== modRevision) {
      changes.push({ type: 'put', key, value, ...(previous ? { previous } : {}), revision: modRevision });
    }
  }
  changes.sort((a, b) => a.revision - b.revision);
  for (const previous of before.values()) changes.push({ type: 'delete', key: previous.key, value: previous.value, previous, revision });
  return changes;
}
