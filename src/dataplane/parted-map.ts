import { applyListEdits, type ListEdits, listEdits } from './list-edits.ts';

/**
 * A map made of parts. Two such maps are compared by the identity of their parts first, so that what changed between large ones costs little more
 * than the parts that changed. Looking up a key joins the parts once. Parts that have a key in common must agree about its value.
 */
export class PartedMap<K, V> implements ReadonlyMap<K, V> {
  readonly parts: readonly (ReadonlyMap<K, V> | undefined)[];
  /** Whether a key may be in several parts. */
  readonly overlapping: boolean;
  #joined: Map<K, V> | undefined;
  /** How many parts have each key, of overlapping parts; handed on to the map that is made of this one. */
  #counts: Map<K, number> | undefined;

  constructor(parts: readonly (ReadonlyMap<K, V> | undefined)[], overlapping = false) {
    this.parts = parts;
    this.overlapping = overlapping;
  }

  /** The map with other parts. */
  edited(edits: ListEdits<ReadonlyMap<K, V> | undefined>): PartedMap<K, V> {
    const map = new PartedMap(applyListEdits(this.parts, edits), this.overlapping);
    if (!this.overlapping) return map;
    const counts = this.#counts ?? countKeys(this.parts);
    this.#counts = undefined;
    for (const { value } of edits.removed) if (value) for (const key of value.keys()) counts.set(key, counts.get(key)! - 1);
    for (const { value } of edits.added) if (value) for (const key of value.keys()) counts.set(key, (counts.get(key) ?? 0) + 1);
    map.#counts = counts;
    return map;
  }

  /** How many parts have the key. */
  count(key: K): number {
    this.#counts ??= countKeys(this.parts);
    return this.#counts.get(key) ?? 0;
  }

  get size(): number {
    if (this.overlapping) return this.#join().size;
    let size = 0;
    for (const part of this.parts) if (part) size += part.size;
    return size;
  }

  get(key: K): V | undefined {
    return this.#join().get(key);
  }

  has(key: K): boolean {
    return this.#join().has(key);
  }

  forEach(callback: (value: V, key: K, map: ReadonlyMap<K, V>) => void): void {
    for (const [key, value] of this) callback(value, key, this);
  }

  *entries(): MapIterator<[K, V]> {
    if (this.overlapping) return yield* this.#join();
    for (const part of this.parts) if (part) yield* part;
  }

  *keys(): MapIterator<K> {
    for (const [key] of this) yield key;
  }

  *values(): MapIterator<V> {
    for (const [, value] of this) yield value;
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.entries();
  }

  #join(): Map<K, V> {
    if (this.#joined) return this.#joined;
    const joined = new Map<K, V>();
    for (const part of this.parts) if (part) for (const [key, value] of part) joined.set(key, value);
    this.#joined = joined;
    return joined;
  }
}

/** More differing parts than these, and the maps are compared whole. */
const maxParts = 1_024;

/** The entries in which two maps may differ: for parted ones those of the parts that only one of them has, else all. */
export function differingEntries<K, V>(a: ReadonlyMap<K, V>, b: ReadonlyMap<K, V>): [ReadonlyMap<K, V>, ReadonlyMap<K, V>] {
  if (!(a instanceof PartedMap) || !(b instanceof PartedMap)) return [a, b];
  const [before, after] = [a as PartedMap<K, V>, b as PartedMap<K, V>];
  const edits = listEdits(before.parts, after.parts, maxParts);
  if (!edits) return [a, b];
  const gone = entriesOf(edits.removed.map(({ value }) => value));
  const came = entriesOf(edits.added.map(({ value }) => value));
  if (after.overlapping) {
    // A key that a part lost or won may be in another part as well, which both maps have.
    const won = countKeys(edits.added.map(({ value }) => value));
    for (const entries of [gone, came])
      for (const key of [...entries.keys()]) if (after.count(key) > (won.get(key) ?? 0)) entries.delete(key);
  }
  return [gone, came];
}

function entriesOf<K, V>(parts: readonly (ReadonlyMap<K, V> | undefined)[]): Map<K, V> {
  const entries = new Map<K, V>();
  for (const part of parts) if (part) for (const [key, value] of part) entries.set(key, value);
  return entries;
}

function countKeys<K>(parts: readonly (ReadonlyMap<K, unknown> | undefined)[]): Map<K, number> {
  const counts = new Map<K, number>();
  for (const part of parts) if (part) for (const key of part.keys()) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}
