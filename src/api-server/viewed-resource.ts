import type { KindDeclaration, StoredForm } from '../objects/index.ts';
import { CachedObject, toStoredJson } from './cached-object.ts';
import type { CacheEvent, ResourceCache } from './resource-cache.ts';

/** What reading needs of a resource's cache. */
export type ReadableResource = Pick<
  ResourceCache,
  'kind' | 'size' | 'watcherCount' | 'get' | 'list' | 'objectsAt' | 'countAt' | 'eventsAfter' | 'subscribe'
>;

/** Converted once, however many watchers see it. */
const converted = new WeakMap<CachedObject, CachedObject>();

/** The cache of a stored kind, seen as another kind (see StoredForm). Objects are converted as they are read. */
export function viewedResource(kind: KindDeclaration, { fromStored }: StoredForm, stored: ReadableResource): ReadableResource {
  const view = (object: CachedObject): CachedObject => {
    let known = converted.get(object);
    if (!known) {
      known = new CachedObject(kind, object.key, toStoredJson(fromStored(object.parse()), kind.resource), object.revision);
      converted.set(object, known);
    }
    return known;
  };
  const viewEvent = (event: CacheEvent): CacheEvent => ({
    ...event,
    object: view(event.object),
    previous: event.previous && view(event.previous),
  });
  return {
    kind,
    get size() {
      return stored.size;
    },
    get watcherCount() {
      return stored.watcherCount;
    },
    get: (key) => {
      const object = stored.get(key);
      return object && view(object);
    },
    list: (prefix) => stored.list(prefix).map(view),
    *objectsAt(prefix, revision, after) {
      for (const object of stored.objectsAt(prefix, revision, after)) yield view(object);
    },
    countAt: (prefix, revision, after) => stored.countAt(prefix, revision, after),
    eventsAfter: (revision) => stored.eventsAfter(revision).map(viewEvent),
    subscribe: (listener) => stored.subscribe((event) => listener(viewEvent(event))),
  };
}
