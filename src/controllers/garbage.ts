import { apiVersionOf, type KubeObject, objectKey, type OwnerReference, type Resource } from '../objects/client.ts';
import type { Action, Guard } from './action.ts';
import { type Controller, nothing, type Outcome, watch } from './controller.ts';
import { isDeleting } from './metadata.ts';
import type { ClusterView, Located } from './view.ts';
import { resourceKey, watched } from './watched.ts';

const byKey = new Map(watched.map((resource) => [resourceKey(resource), resource]));

const foreground = 'foregroundDeletion';
const orphan = 'orphan';

const itemKey = (resource: Resource, object: KubeObject): string => `${resourceKey(resource)}|${objectKey(object)}`;
const keyOf = ({ resource, object }: Located): string => itemKey(resource, object);

/**
 * Deletes what its owners left behind (background), deletes dependents before an owner that waits for them (foreground), and frees dependents of
 * an owner that is to leave them (orphan). Nothing is deleted unless the API server confirms that the owner is gone.
 */
export const garbageController: Controller = {
  name: 'garbage_collector_attempt_to_delete',
  component: 'garbage-collector-controller',
  workers: 16,
  watches: watched.map((resource) =>
    watch(resource, (before, after, view) => {
      const keys: string[] = [];
      if (after && (after.metadata.ownerReferences?.length || holdsDependents(after))) keys.push(itemKey(resource, after));
      // A dependent that is gone, or no longer blocks, lets a waiting owner go; an owner that is gone, replaced or waiting concerns its dependents.
      for (const owner of [...(before?.metadata.ownerReferences ?? []), ...(after?.metadata.ownerReferences ?? [])])
        keys.push(...waitingOwner(owner, before ?? after, view));
      const gone = before && before.metadata.uid !== after?.metadata.uid;
      if (gone) keys.push(...view.dependents(before.metadata.uid ?? '').map(keyOf));
      if (after && holdsDependents(after)) keys.push(...view.dependents(after.metadata.uid ?? '').map(keyOf));
      return new Set(keys);
    }),
  ),
  reconcile(key, view) {
    const separator = key.indexOf('|');
    const resource = byKey.get(key.slice(0, separator));
    const object = resource && view.get(resource, key.slice(separator + 1));
    if (!resource || !object) return nothing;
    return holdsDependents(object) ? releaseDependents({ resource, object }, view) : collect({ resource, object }, view);
  },
};

const hasFinalizer = (object: KubeObject, name: string): boolean => object.metadata.finalizers?.includes(name) === true;
const holdsDependents = (object: KubeObject): boolean =>
  isDeleting(object) && (hasFinalizer(object, foreground) || hasFinalizer(object, orphan));

const ownerResource = ({ apiVersion, kind }: OwnerReference): Resource | undefined =>
  watched.find((resource) => resource.kind === kind && apiVersionOf(resource) === apiVersion);

/** The owner's resource; undefined when nobody can say whether the owner exists. */
function reachableResource(reference: OwnerReference, { resource: dependent }: Located): Resource | undefined {
  const resource = ownerResource(reference);
  return resource?.namespaced && !dependent.namespaced ? undefined : resource;
}

function findOwner(owner: OwnerReference, dependent: KubeObject, view: ClusterView): KubeObject | undefined {
  const resource = ownerResource(owner);
  const key = resource?.namespaced ? `${dependent.metadata.namespace}/${owner.name}` : owner.name;
  const found = resource && view.get(resource, key);
  return found?.metadata.uid === owner.uid ? found : undefined;
}

function waitingOwner(owner: OwnerReference, dependent: KubeObject | undefined, view: ClusterView): string[] {
  const found = dependent && findOwner(owner, dependent, view);
  return found && holdsDependents(found) ? [itemKey(ownerResource(owner)!, found)] : [];
}

const withoutFinalizer = ({ resource, object }: Located, name: string): Action => {
  const finalizers = (object.metadata.finalizers ?? []).filter((finalizer) => finalizer !== name);
  const { uid, resourceVersion } = object.metadata;
  return {
    do: 'patch',
    resource,
    object,
    patch: { metadata: { uid, resourceVersion, finalizers: finalizers.length ? finalizers : null } },
  };
};

const setOwners = ({ resource, object }: Located, owners: readonly OwnerReference[]): Action => {
  const { uid, resourceVersion } = object.metadata;
  return { do: 'patch', resource, object, patch: { metadata: { uid, resourceVersion, ownerReferences: owners.length ? owners : null } } };
};

/** An owner on its way out that has asked us to see to its dependents first. */
function releaseDependents(owner: Located, view: ClusterView): Outcome {
  const { uid = '' } = owner.object.metadata;
  const dependents = view.dependents(uid);
  if (hasFinalizer(owner.object, orphan)) {
    const free = dependents.map((item) =>
      setOwners(
        item,
        (item.object.metadata.ownerReferences ?? []).filter((reference) => reference.uid !== uid),
      ),
    );
    return { actions: [...(free.length ? [{ do: 'together', actions: free } as const] : []), withoutFinalizer(owner, orphan)] };
  }
  const blocking = dependents.filter(({ object }) =>
    object.metadata.ownerReferences?.some((reference) => reference.uid === uid && reference.blockOwnerDeletion),
  );
  return blocking.length === 0 ? { actions: [withoutFinalizer(owner, foreground)] } : nothing;
}

/** An object with owners: kept while one of them stands, freed from those that do not, deleted when none does. */
function collect(item: Located, view: ClusterView): Outcome {
  const owners = item.object.metadata.ownerReferences ?? [];
  if (owners.length === 0 || isDeleting(item.object)) return nothing;
  const known = owners.map((reference) => ({
    reference,
    resource: reachableResource(reference, item),
    owner: findOwner(reference, item.object, view),
  }));
  // An owner of a kind we do not watch may well exist; and what has no namespace cannot tell in which one its owner is.
  const solid = known.filter(({ resource, owner }) => !resource || (owner && !(isDeleting(owner) && hasFinalizer(owner, foreground))));
  const waiting = known.filter(({ owner }) => owner && isDeleting(owner) && hasFinalizer(owner, foreground));
  const dangling = known.filter(({ resource, owner }) => resource && !owner);
  if (dangling.length === 0 && waiting.length === 0) return nothing;
  const guards = dangling.map(({ reference, resource }): Guard => {
    const namespace = resource!.namespaced ? { namespace: item.object.metadata.namespace ?? '' } : {};
    return { is: 'absent', resource: resource!, name: reference.name, uid: reference.uid, ...namespace };
  });
  if (solid.length > 0) {
    const left = owners.filter((reference) => solid.some((entry) => entry.reference === reference));
    return { actions: [{ ...setOwners(item, left), guards } as Action] };
  }
  const hasDependents = view.dependents(item.object.metadata.uid ?? '').length > 0;
  const policy = waiting.length > 0 && hasDependents ? 'Foreground' : hasFinalizer(item.object, orphan) ? 'Orphan' : 'Background';
  return { actions: [{ do: 'delete', resource: item.resource, object: item.object, propagationPolicy: policy, guards }] };
}
