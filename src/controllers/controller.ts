import type { KubeObject, Resource } from '../objects/client.ts';
import type { Action } from './action.ts';
import type { ClusterView } from './view.ts';

export interface Outcome {
  /** In order; the first that fails ends the turn, and the key is tried again with backoff. */
  readonly actions: readonly Action[];
  /** Look again after this long (ms), when nothing else brings the key back first. */
  readonly requeueAfter?: number;
}

export const nothing: Outcome = { actions: [] };

/** Why the last turn of a key failed. */
export interface Failure {
  readonly message: string;
  /** What the failing action was. */
  readonly action: Action['do'] | undefined;
}

/** Which keys a change of an object concerns. `before` undefined: added. `after` undefined: removed. */
export interface Watch {
  readonly resource: Resource;
  keys(before: KubeObject | undefined, after: KubeObject | undefined, view: ClusterView): Iterable<string>;
}

/**
 * One control loop. `reconcile` is pure: from the state it sees to what is to be done about one key, without memory of its own. It is never
 * run twice at once for one key, and always again after anything it watches has changed.
 */
export interface Controller {
  /** As kube-controller-manager names it in metrics and as the source of its Events. */
  readonly name: string;
  /** The component that Events carry as their source. */
  readonly component: string;
  /** How many keys may be in hand at once. */
  readonly workers: number;
  readonly watches: readonly Watch[];
  reconcile(key: string, view: ClusterView, failure: Failure | undefined): Outcome;
}

/** A watch with the type of its resource's objects. */
export function watch<T extends KubeObject>(
  resource: Resource<T>,
  keys: (before: T | undefined, after: T | undefined, view: ClusterView) => Iterable<string>,
): Watch {
  return { resource, keys: keys as Watch['keys'] };
}
