import type { KindDeclaration } from '../objects/index.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Store, StoredValue, StoreEvent } from '../storage/index.ts';
import { CachedObject } from './cached-object.ts';
import { type CacheEvent, ResourceCache } from './resource-cache.ts';
import { createOldestRevisions, watchOverGaps } from './store-history.ts';
import { type ReadableResource, viewedResource } from './viewed-resource.ts';

/** Everything in the store, in memory, kept up to date by one watch. All reads are served from here. */
export interface WatchCache {
  of(kind: KindDeclaration): ReadableResource;
  /** Every change up to this revision is in. */
  revision(): number;
  /** Lists and watches of the kind from before this revision are no longer possible. */
  oldestRevision(kind: KindDeclaration): number;
  /** Revision of the last change of a key that is no object of a kind; 0 when it does not exist. */
  keyRevision(key: string): number;
  /** Whether the cache reaches the revision within `timeout` (ms). */
  waitFor(revision: number, timeout: number): Promise<boolean>;
  stop(): void;
}

/** Fills the cache from the store, history included, so that watches go on where they were over a restart. */
export async function startWatchCache(kinds: readonly KindDeclaration[], store: Store, clock: Clock): Promise<WatchCache> {
  const caches = new Map<string, ResourceCache>(
    kinds.filter(({ storedAs }) => !storedAs).map((kind) => [kind.resource.plural, new ResourceCache(kind)]),
  );
  const cacheOf = (key: string): ResourceCache | undefined =>
    caches.get(key.slice('/registry/'.length, key.indexOf('/', '/registry/'.length)));
  const waiting = new Set<{ revision: number; done: () => void }>();

  const others = new Map<string, number>();

  const listed = await store.list('/registry/');
  for (const { key, value, modRevision } of listed.values) {
    const cache = cacheOf(key);
    if (cache) cache.seed(new CachedObject(cache.kind, key, value, modRevision));
    else others.set(key, modRevision);
  }
  let revision = listed.revision;
  const start = store.compactedRevision();
  const oldest = createOldestRevisions(store, [...caches.values()]);
  // While the history is read, objects in it are shared with those before and after them.
  let last: Map<string, CachedObject> | undefined = new Map();

  const toCacheEvent = (cache: ResourceCache, event: StoreEvent): CacheEvent => {
    const { key, value } = event;
    let previous = last?.get(key) ?? cache.get(key);
    if (event.previous?.modRevision !== previous?.revision) {
      previous = event.previous && new CachedObject(cache.kind, key, event.previous.value, event.previous.modRevision);
    }
    const standing = cache.get(key);
    const object = standing?.revision === event.revision ? standing : new CachedObject(cache.kind, key, value, event.revision);
    return { type: event.type === 'delete' ? 'DELETED' : previous ? 'MODIFIED' : 'ADDED', revision: event.revision, object, previous };
  };

  const onEvent = (event: StoreEvent): void => {
    const cache = cacheOf(event.key);
    if (cache) {
      const change = toCacheEvent(cache, event);
      if (event.revision <= listed.revision) {
        cache.recall(change);
        if (change.type === 'DELETED') last?.delete(event.key);
        else last?.set(event.key, change.object);
      } else cache.apply(change);
    } else if (event.type === 'delete') others.delete(event.key);
    else others.set(event.key, event.revision);
    oldest.follow(cache);
    reach(event.revision);
  };
  const reach = (reached: number): void => {
    revision = Math.max(revision, reached);
    for (const waiter of waiting) if (waiter.revision <= revision) waiter.done();
  };
  const known = function* (): Generator<StoredValue> {
    for (const [key, modRevision] of others) yield { key, value: '', createRevision: 0, modRevision };
    for (const cache of caches.values()) {
      for (const { key, stored, revision: at } of cache.list('')) yield { key, value: stored, createRevision: 0, modRevision: at };
    }
  };
  const subscription = await watchOverGaps(store, clock, start, { onEvent, reach, known, atGap: (at) => oldest.raise(at) });
  last = undefined;

  return {
    of: (kind) => {
      const { plural, group } = (kind.storedAs?.kind ?? kind).resource;
      const cache = caches.get(plural);
      if (cache?.kind.resource.group !== group) throw new RangeError(`${plural} are not served`);
      return kind.storedAs ? viewedResource(kind, kind.storedAs, cache) : cache;
    },
    revision: () => revision,
    oldestRevision: (kind) => oldest.of(caches.get((kind.storedAs?.kind ?? kind).resource.plural)),
    keyRevision: (key) => others.get(key) ?? 0,
    waitFor(wanted, timeout) {
      if (wanted <= revision) return Promise.resolve(true);
      return new Promise((resolve) => {
        const finish = (reached: boolean): void => {
          cancel();
          waiting.delete(waiter);
          resolve(reached);
        };
        const waiter = { revision: wanted, done: () => finish(true) };
        const cancel = clock.setTimer(timeout, () => finish(false));
        waiting.add(waiter);
      });
    },
    stop: () => subscription.stop(),
  };
}
