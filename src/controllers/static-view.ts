import { type KubeObject, objectKey, type Pod, type Resource, resources } from '../objects/client.ts';
import { controllerOf } from './metadata.ts';
import type { ClusterView, Located } from './view.ts';
import { watched } from './watched.ts';

/**
 * A view of objects given as a list, for examples, tests and dry runs. `now` is milliseconds since the epoch; `leases` tells when a node's Lease
 * was last seen to change, in the same milliseconds.
 */
export function createStaticView(objects: readonly KubeObject[], now: number, leases: Readonly<Record<string, number>> = {}): ClusterView {
  const of = (resource: Resource): KubeObject[] => objects.filter(({ kind }) => kind === resource.kind);
  const ownedBy = (object: KubeObject, uid: string): boolean =>
    uid === '' ? controllerOf(object) === undefined : object.metadata.ownerReferences?.some((owner) => owner.uid === uid) === true;
  return {
    now,
    get: <T extends KubeObject>(resource: Resource<T>, key: string) =>
      of(resource as Resource).find((object) => objectKey(object) === key) as T | undefined,
    list: <T extends KubeObject>(resource: Resource<T>, namespace?: string) =>
      of(resource as Resource).filter(({ metadata }) => namespace === undefined || metadata.namespace === namespace) as T[],
    owned: <T extends KubeObject>(resource: Resource<T>, uid: string) =>
      of(resource as Resource).filter((object) => ownedBy(object, uid)) as T[],
    dependents: (uid) =>
      watched.flatMap((resource) =>
        of(resource)
          .filter((object) => ownedBy(object, uid))
          .map((object): Located => ({ resource, object })),
      ),
    podsOnNode: (nodeName) => (of(resources.pods) as Pod[]).filter(({ spec }) => (spec.nodeName ?? '') === nodeName),
    leaseSeenAt: (nodeName) => leases[nodeName],
  };
}
