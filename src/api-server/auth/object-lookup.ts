import { findKind, type Resource } from '../../objects/index.ts';
import { type CachedObject, storeKey } from '../cached-object.ts';
import type { WatchCache } from '../watch-cache.ts';

/** The object of that name as the watch cache has it; `namespace` '' for cluster-scoped ones. */
export type FindObject = (resource: Resource, namespace: string, name: string) => CachedObject | undefined;

export const findIn =
  (cache: WatchCache): FindObject =>
  (resource, namespace, name) => {
    const kind = findKind(resource.group, resource.version, resource.plural)!;
    return cache.of(kind).get(storeKey(resource, namespace, name));
  };
