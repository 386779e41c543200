import type { KindDeclaration } from '../objects/index.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Store, StoreEvent } from '../storage/index.ts';
import { CachedObject, storePrefix } from './cached-object.ts';
import { type CacheEvent, ResourceCache } from './resource-cache.ts';

/** Everything in the store, in memory, kept up to date by one watch. All reads are served from here. */
export interface WatchCache {
  of(kind: KindDeclaration): ResourceCache;
  /** Every change up to this revision is in. */
  revision(): number;
  /** Lists and watches from before this revision are no longer possible. */
  oldestRevision(): number;
  /** Whether the cache reaches the revision within `timeout` (ms). */
  waitFor(revision: number, timeout: number): Promise<boolean>;
  stop(): void;
}

/** Fills the cache from the store, history included, so that watches go on where they were over a restart. */
export async function startWatchCache(kinds: readonly KindDeclaration[], store: Store, clock: Clock): Promise<WatchCache> {
  const caches = new Map<string, ResourceCache>(kinds.map((kind) => [kind.resource.plural, new ResourceCache(kind)]));
  const cacheOf = (key: string): ResourceCache | undefined =>
    caches.get(key.slice('/registry/'.length, key.indexOf('/', '/registry/'.length)));
  const waiting = new Set<{ revision: number; done: () => void }>();

  const listed = await store.list('/registry/');
  for (const { key, value, modRevision } of listed.values) {
    const cache = cacheOf(key);
    cache?.seed(new CachedObject(cache.kind, key, value, modRevision));
  }
  let revision = listed.revision;
  let oldest = store.compactedRevision();
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

  const subscription = await store.watch('/registry/', oldest, (event) => {
    const cache = cacheOf(event.key);
    if (cache) {
      const change = toCacheEvent(cache, event);
      if (event.revision <= listed.revision) {
        cache.recall(change);
        if (change.type === 'DELETED') last?.delete(event.key);
        else last?.set(event.key, change.object);
      } else cache.apply(change);
    }
    revision = Math.max(revision, event.revision);
    if (store.compactedRevision() !== oldest) {
      oldest = store.compactedRevision();
      for (const each of caches.values()) each.forgetUpTo(oldest);
    }
    for (const waiter of waiting) if (waiter.revision <= revision) waiter.done();
  });
  last = undefined;

  return {
    of: ({ resource }) => {
      const cache = caches.get(resource.plural);
      if (!cache || storePrefix(resource) !== storePrefix(cache.kind.resource)) throw new RangeError(`${resource.plural} are not served`);
      return cache;
    },
    revision: () => revision,
    oldestRevision: () => oldest,
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
