import type { KindDeclaration } from '../objects/index.ts';
import type { CachedObject } from './cached-object.ts';
import { SortedKeys } from './sorted-keys.ts';

export interface CacheEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly revision: number;
  /** The object after the change; of a deletion the last one, at the deletion's revision. */
  readonly object: CachedObject;
  /** The object before; undefined on creation. */
  readonly previous: CachedObject | undefined;
}

/** All objects of one resource, in key order, with the changes that led here as far back as the store's history goes. */
export class ResourceCache {
  readonly kind: KindDeclaration;
  readonly #objects = new Map<string, CachedObject>();
  readonly #keys = new SortedKeys();
  #events: CacheEvent[] = [];
  readonly #watchers = new Set<(event: CacheEvent) => void>();

  constructor(kind: KindDeclaration) {
    this.kind = kind;
  }

  get size(): number {
    return this.#objects.size;
  }

  get watcherCount(): number {
    return this.#watchers.size;
  }

  get(key: string): CachedObject | undefined {
    return this.#objects.get(key);
  }

  /** Objects whose key starts with the prefix, in key order. */
  list(prefix: string): CachedObject[] {
    const found: CachedObject[] = [];
    for (const key of this.#keys.startingWith(prefix)) found.push(this.#objects.get(key)!);
    return found;
  }

  /** As {@link list}, as of a past revision that the history still reaches: the changes since are undone. */
  listAt(prefix: string, revision: number): CachedObject[] {
    const objects = new Map(this.list(prefix).map((object) => [object.key, object]));
    const undone = new Set<string>();
    for (const { object, previous } of this.eventsAfter(revision)) {
      const { key } = object;
      if (undone.has(key) || !key.startsWith(prefix)) continue;
      undone.add(key);
      if (previous) objects.set(key, previous);
      else objects.delete(key);
    }
    return undone.size === 0 ? [...objects.values()] : [...objects.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** Changes after the revision, oldest first. */
  eventsAfter(revision: number): CacheEvent[] {
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#events[middle]!.revision <= revision) low = middle + 1;
      else high = middle;
    }
    return this.#events.slice(low);
  }

  /** Calls back for every change from now on, until the returned function is called. */
  subscribe(listener: (event: CacheEvent) => void): () => void {
    this.#watchers.add(listener);
    return () => void this.#watchers.delete(listener);
  }

  /** An object that stood before the first change is seen. */
  seed(object: CachedObject): void {
    this.#put(object);
  }

  /** A change from before the seed, oldest first: known to watchers that resume, but already part of the objects. */
  recall(event: CacheEvent): void {
    this.#events.push(event);
  }

  apply(event: CacheEvent): void {
    if (event.type === 'DELETED') this.#delete(event.object.key);
    else this.#put(event.object);
    this.#events.push(event);
    for (const watcher of this.#watchers) watcher(event);
  }

  forgetUpTo(revision: number): void {
    this.#events = this.eventsAfter(revision);
  }

  #put(object: CachedObject): void {
    if (!this.#objects.has(object.key)) this.#keys.add(object.key);
    this.#objects.set(object.key, object);
  }

  #delete(key: string): void {
    if (this.#objects.delete(key)) this.#keys.delete(key);
  }
}
