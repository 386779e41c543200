import type { KubeObject, Pod, Resource } from '../objects/client.ts';

/** An object and where it lives. */
export interface Located<T extends KubeObject = KubeObject> {
  readonly resource: Resource;
  readonly object: T;
}

/**
 * What a controller may know: the watch caches, with its own writes already in them. Reading it never waits and never changes it;
 * a reconcile sees one state of it throughout.
 */
export interface ClusterView {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** By objectKey. */
  get<T extends KubeObject>(resource: Resource<T>, key: string): T | undefined;
  /** All objects of the resource, or those of a namespace. */
  list<T extends KubeObject>(resource: Resource<T>, namespace?: string): readonly T[];
  /** Objects of the resource whose metadata.ownerReferences hold the uid; for '' those that no controller manages. */
  owned<T extends KubeObject>(resource: Resource<T>, ownerUid: string): readonly T[];
  /** The same over all resources in the view. */
  dependents(ownerUid: string): readonly Located[];
  /** Pods whose spec.nodeName is this; '' for those that are not scheduled yet. */
  podsOnNode(nodeName: string): readonly Pod[];
  /**
   * Since when the node's Lease is known not to have been renewed, in milliseconds of `now`: when this process saw it change last, or began to be
   * in touch with the API server, whichever is later. Undefined when the node has no Lease. Clocks of different machines are never compared.
   */
  leaseSeenAt(nodeName: string): number | undefined;
}
