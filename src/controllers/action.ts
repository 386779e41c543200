import type { EventNote } from '../kube/events.ts';
import type { KubeObject, Node, Pod, Resource } from '../objects/client.ts';

export type { EventNote };

/** What must be true on the API server itself, not only in the view, before an action is carried out. If it is not, the key is tried again later. */
export type Guard =
  /** No object of this name has this uid. */
  | { readonly is: 'absent'; readonly resource: Resource; readonly namespace?: string; readonly name: string; readonly uid?: string }
  /** The object is there, with its uid, and is not being deleted. */
  | { readonly is: 'alive'; readonly resource: Resource; readonly object: KubeObject }
  /** The namespace holds no object of the resource. */
  | { readonly is: 'empty'; readonly resource: Resource; readonly namespace: string };

interface Common {
  readonly guards?: readonly Guard[];
  /** An Event to record afterwards; `{name}` in its message becomes the name of the object written. */
  readonly success?: EventNote;
  /** An Event for a refusal; `{error}` in its message becomes the API server's reason. */
  readonly failure?: EventNote;
}

interface CreateAction extends Common {
  readonly do: 'create';
  readonly resource: Resource;
  readonly object: KubeObject;
}

/** A PUT. With a resourceVersion in the object it fails when the object has changed since. */
interface UpdateAction extends Common {
  readonly do: 'update';
  readonly resource: Resource;
  readonly object: KubeObject;
  readonly subresource?: string;
}

/** A merge patch (RFC 7396). With metadata.uid or metadata.resourceVersion in the patch it fails when they differ. */
export interface PatchAction extends Common {
  readonly do: 'patch';
  readonly resource: Resource;
  /** The object as decided on. */
  readonly object: KubeObject;
  readonly patch: Readonly<Record<string, unknown>>;
  readonly subresource?: string;
}

/** Always with the object's uid as precondition. An object that is gone already counts as deleted. */
export interface DeleteAction extends Common {
  readonly do: 'delete';
  readonly resource: Resource;
  readonly object: KubeObject;
  readonly propagationPolicy?: 'Foreground' | 'Background' | 'Orphan';
  readonly gracePeriodSeconds?: number;
}

/**
 * Lists the resources in the namespace, one after the other, and deletes whatever is not being deleted yet. What fails holds up none of the
 * others; the action then fails with what all of them said. A resource that the server does not know holds nothing.
 */
export interface DeleteAllAction extends Common {
  readonly do: 'deleteAll';
  readonly resources: readonly Resource[];
  readonly namespace: string;
}

export interface BindAction extends Common {
  readonly do: 'bind';
  readonly pod: Pod;
  readonly node: Node;
}

interface EventAction {
  readonly do: 'event';
  readonly event: EventNote;
}

/** In no particular order, several at once: first one, then twice as many each time as long as none fails. */
interface TogetherAction {
  readonly do: 'together';
  readonly actions: readonly Action[];
}

/** What a controller wants done. Data: nothing has happened yet. */
export type Action = CreateAction | UpdateAction | PatchAction | DeleteAction | DeleteAllAction | BindAction | EventAction | TogetherAction;
