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

  /**
   * Objects under the prefix as of a revision that the history still reaches, in key order; with `after`, those whose key comes after it alone. They
   * are found one by one as they are taken: a page costs as much as it holds, not as much as all. The cache must not change meanwhile.
   */
  *objectsAt(prefix: string, revision: number, after = ''): Generator<CachedObject> {
    const past = this.#undo(prefix, revision, after);
    const gone = [...past].filter(([key]) => !this.#objects.has(key)).sort(([a], [b]) => (a < b ? -1 : 1));
    let next = 0;
    for (const key of this.#keys.startingWith(prefix, after)) {
      for (; next < gone.length && gone[next]![0] < key; next++) if (gone[next]![1]) yield gone[next]![1]!;
      const object = past.has(key) ? past.get(key) : this.#objects.get(key);
      if (object) yield object;
    }
    for (; next < gone.length; next++) if (gone[next]![1]) yield gone[next]![1]!;
  }

  /** How many {@link objectsAt} would find. */
  countAt(prefix: string, revision: number, after = ''): number {
    let count = this.#keys.count(prefix, after);
    for (const [key, object] of this.#undo(prefix, revision, after)) count += Number(object !== undefined) - Number(this.#objects.has(key));
    return count;
  }

  /** What changed after the revision, as it was then; undefined where there was nothing. */
  #undo(prefix: string, revision: number, after: string): Map<string, CachedObject | undefined> {
    const past = new Map<string, CachedObject | undefined>();
    for (const { object, previous } of this.eventsAfter(revision)) {
      const { key } = object;
      if (key > after && key.startsWith(prefix) && !past.has(key)) past.set(key, previous);
    }
    return past;
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
