import type { KubeObject } from '../objects/client.ts';

/** What changed: `before` undefined on add, `after` undefined on delete. */
export type ChangeListener<T> = (before: T | undefined, after: T | undefined) => void;

/** A watch cache of one resource: list, then watch from the list's revision, for ever. Objects in it are never mutated. */
export interface Informer<T extends KubeObject> {
  /** By objectKey: `namespace/name` or `name`. */
  readonly store: ReadonlyMap<string, T>;
  /** True once the first list is in the store; stays true. */
  readonly synced: boolean;
  whenSynced(): Promise<void>;
  /** Called after the store changed. Returns a function that stops it. */
  onChange(listener: ChangeListener<T>): () => void;
  stop(): void;
}
