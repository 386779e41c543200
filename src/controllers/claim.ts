import { type KubeObject, type LabelSelector, matchesLabelSelector, type Resource } from '../objects/client.ts';
import type { PatchAction } from './action.ts';
import { controllerOf, controllerReference, isDeleting } from './metadata.ts';

export interface Claim<T> {
  /** The objects that are the owner's now, without those to adopt. */
  readonly owned: readonly T[];
  /** Adoptions and releases to carry out. */
  readonly actions: readonly PatchAction[];
}

/**
 * Sorts candidates by ownership, as the reference's ControllerRefManager: owned and matching are kept, owned but no longer matching are released,
 * matching orphans are adopted unless either side is being deleted. Pure.
 */
export function claim<T extends KubeObject>(
  owner: KubeObject,
  ownerResource: Resource,
  selector: LabelSelector,
  resource: Resource,
  candidates: readonly T[],
): Claim<T> {
  const owned: T[] = [];
  const actions: PatchAction[] = [];
  for (const object of new Set(candidates)) {
    const controller = controllerOf(object);
    const matches = matchesLabelSelector(selector, object.metadata.labels);
    const references = object.metadata.ownerReferences ?? [];
    if (controller) {
      if (controller.uid !== owner.metadata.uid) continue;
      if (matches) owned.push(object);
      else if (!isDeleting(owner) && !isDeleting(object))
        actions.push(
          setOwners(
            object,
            references.filter(({ uid }) => uid !== owner.metadata.uid),
          ),
        );
    } else if (matches && !isDeleting(owner) && !isDeleting(object)) {
      // The API server itself is asked whether the owner lives: a cache that lags would adopt what an orphaning deletion has just let go.
      actions.push({
        ...setOwners(object, [...references, controllerReference(owner)]),
        guards: [{ is: 'alive', resource: ownerResource, object: owner }],
      });
    }
  }
  return { owned, actions };

  function setOwners(object: T, ownerReferences: readonly unknown[]): PatchAction {
    const { uid, resourceVersion } = object.metadata;
    return {
      do: 'patch',
      resource,
      object,
      patch: { metadata: { uid, resourceVersion, ownerReferences: ownerReferences.length ? ownerReferences : null } },
    };
  }
}
