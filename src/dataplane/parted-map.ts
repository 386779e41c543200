/**
 * A map made of parts that share no key. Two such maps are compared by the identity of their parts first, so that what changed between large
 * ones costs no more than the parts that changed. Looking up a key joins the parts once.
 */
export class PartedMap<K, V> implements ReadonlyMap<K, V> {
  readonly parts: readonly ReadonlyMap<K, V>[];
  #joined: Map<K, V> | undefined;

  constructor(parts: readonly ReadonlyMap<K, V>[]) {
    this.parts = parts;
  }

  get size(): number {
    return this.parts.reduce((sum, { size }) => sum + size, 0);
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
    for (const part of this.parts) yield* part;
  }

  *keys(): MapIterator<K> {
    for (const part of this.parts) yield* part.keys();
  }

  *values(): MapIterator<V> {
    for (const part of this.parts) yield* part.values();
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.entries();
  }

  #join(): Map<K, V> {
    this.#joined ??= new Map(this);
    return this.#joined;
  }
}

/** The entries in which two maps may differ: for parted ones those of the parts that only one of them has, else all. */
export function differingEntries<K, V>(a: ReadonlyMap<K, V>, b: ReadonlyMap<K, V>): [ReadonlyMap<K, V>, ReadonlyMap<K, V>] {
  if (!(a instanceof PartedMap) || !(b instanceof PartedMap)) return [a, b];
  return [without(a as PartedMap<K, V>, b as PartedMap<K, V>), without(b as PartedMap<K, V>, a as PartedMap<K, V>)];
}

function without<K, V>({ parts }: PartedMap<K, V>, other: PartedMap<K, V>): Map<K, V> {
  const shared = new Set(other.parts);
  return new Map(parts.filter((part) => !shared.has(part)).flatMap((part) => [...part]));
}
