import { type KubeObject, objectKey, type Resource } from '../objects/client.ts';
import { type ClusterCache, createClusterCache } from './cluster-cache.ts';
import type { ChangeListener, Informer } from './informer.ts';

export interface FakeCluster extends ClusterCache {
  /** Adds or replaces an object; listeners hear of it at once. */
  set<T extends KubeObject>(resource: Resource<T>, object: T): void;
  remove<T extends KubeObject>(resource: Resource<T>, key: string): void;
}

interface FakeInformer extends Informer<KubeObject> {
  readonly store: Map<string, KubeObject>;
  readonly listeners: Set<ChangeListener<KubeObject>>;
}

/** A cluster cache whose content the test sets. Always synced. List options are not applied. */
export function createFakeCluster(): FakeCluster {
  const stores = new Map<Resource['plural'], FakeInformer>();
  const fakeOf = (resource: Resource): FakeInformer => {
    const existing = stores.get(resource.plural);
    if (existing) return existing;
    const listeners = new Set<ChangeListener<KubeObject>>();
    const made: FakeInformer = {
      store: new Map(),
      listeners,
      synced: true,
      whenSynced: () => Promise.resolve(),
      onChange(listener) {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
      stop: () => listeners.clear(),
    };
    stores.set(resource.plural, made);
    return made;
  };
  const cache = createClusterCache(
    <T extends KubeObject>(resource: Resource<T>) => fakeOf(resource as unknown as Resource) as unknown as Informer<T>,
  );
  const change = (resource: Resource, key: string, after: KubeObject | undefined): void => {
    const { store, listeners } = fakeOf(resource);
    const before = store.get(key);
    if (after) store.set(key, after);
    else store.delete(key);
    if (before || after) for (const listener of listeners) listener(before, after);
  };
  return {
    ...cache,
    set: (resource, object) => change(resource as unknown as Resource, objectKey(object), object),
    remove: (resource, key) => change(resource as unknown as Resource, key, undefined),
  };
}
