import { applyListEdits, editList, type ListEdits, listEdits, reversed } from './list-edits.ts';

type Part<K, V> = ReadonlyMap<K, V> | undefined;

/** Parts that only one of two maps has. */
interface ChangedParts<K, V> {
  readonly gone: readonly Part<K, V>[];
  readonly came: readonly Part<K, V>[];
}

/** A map that was edited from another, and how. */
interface Step<K, V> {
  readonly map: PartedMap<K, V>;
  readonly edits: ListEdits<Part<K, V>>;
}

/**
 * A map made of parts. A map that was {@link PartedMap.edited} from another differs from it by those edits; two others are compared by the identity
 * of their parts first: what changed between large ones costs little more than the parts that changed. Looking up a key joins the parts once. Parts
 * that have a key in common must agree about its value.
 */
export class PartedMap<K, V> implements ReadonlyMap<K, V> {
  /** Undefined while the map edited from this one has the list; it can be made again of that. */
  #parts: Part<K, V>[] | undefined;
  #next: Step<K, V> | undefined;
  /** Whether a key may be in several parts. */
  readonly overlapping: boolean;
  #joined: Map<K, V> | undefined;
  /** How many parts have each key, of overlapping parts; handed on to the map that is made of this one. */
  #counts: Map<K, number> | undefined;

  /** The list of parts is the map's from now on. */
  constructor(parts: Part<K, V>[], overlapping = false, counts = overlapping ? countKeys(parts) : undefined) {
    this.#parts = parts;
    this.overlapping = overlapping;
    this.#counts = counts;
  }

  /** To be read at once: the list is another after the next {@link edited}. */
  get parts(): readonly Part<K, V>[] {
    this.#parts ??= PartedMap.#rebuilt(this);
    return this.#parts;
  }

  static #rebuilt<K, V>(map: PartedMap<K, V>): Part<K, V>[] {
    const steps: Step<K, V>[] = [];
    let later = map;
    for (; !later.#parts; later = later.#next!.map) steps.push(later.#next!);
    const parts = [...later.#parts];
    for (const { edits } of steps.reverse()) editList(parts, reversed(edits));
    return parts;
  }

  /**
   * The map with other parts. It takes over the list of this one, for as a rule nobody asks for the content of this one again; who does gets a list
   * made anew. So a few edits of a large map copy nothing.
   */
  edited(edits: ListEdits<Part<K, V>>): PartedMap<K, V> {
    if (this.#next) return new PartedMap(applyListEdits(this.parts, edits), this.overlapping);
    const counts = this.#counts;
    if (counts) {
      for (const { value } of edits.removed) if (value) for (const key of value.keys()) counts.set(key, counts.get(key)! - 1);
      for (const { value } of edits.added) if (value) for (const key of value.keys()) counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    const map = new PartedMap(editList(this.#parts!, edits), this.overlapping, counts);
    this.#parts = undefined;
    this.#joined = undefined;
    this.#counts = undefined;
    this.#next = { map, edits };
    return map;
  }

  /**
   * The parts of `before` that `after`, edited from it in a few steps, has no more, and those it has instead; undefined when it came another way.
   */
  static changedParts<K, V>(before: PartedMap<K, V>, after: PartedMap<K, V>): ChangedParts<K, V> | undefined {
    const balance = new Map<Part<K, V>, number>();
    const weigh = (edits: ListEdits<Part<K, V>>['added'], by: number): void => {
      for (const { value } of edits) balance.set(value, (balance.get(value) ?? 0) + by);
    };
    let map = before;
    for (let step = 0; map !== after; step++) {
      const next = map.#next;
      if (!next || step === maxSteps) return undefined;
      weigh(next.edits.removed, -1);
      weigh(next.edits.added, 1);
      map = next.map;
    }
    const times = (sign: number) => [...balance].flatMap(([part, count]) => Array<Part<K, V>>(Math.max(0, sign * count)).fill(part));
    return { gone: times(-1), came: times(1) };
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
/** More maps in between than these, and their parts are compared. */
const maxSteps = 16;

/** The entries in which two maps may differ: for parted ones those of the parts that only one of them has, else all. */
export function differingEntries<K, V>(a: ReadonlyMap<K, V>, b: ReadonlyMap<K, V>): [ReadonlyMap<K, V>, ReadonlyMap<K, V>] {
  if (!(a instanceof PartedMap) || !(b instanceof PartedMap)) return [a, b];
  const [before, after] = [a as PartedMap<K, V>, b as PartedMap<K, V>];
  const changed = PartedMap.changedParts(before, after) ?? comparedParts(before, after);
  if (!changed) return [a, b];
  const gone = entriesOf(changed.gone);
  const came = entriesOf(changed.came);
  if (after.overlapping) {
    // A key that a part lost or won may be in another part as well, which both maps have.
    const won = countKeys(changed.came);
    for (const entries of [gone, came])
      for (const key of [...entries.keys()]) if (after.count(key) > (won.get(key) ?? 0)) entries.delete(key);
  }
  return [gone, came];
}

function comparedParts<K, V>(before: PartedMap<K, V>, after: PartedMap<K, V>): ChangedParts<K, V> | undefined {
  const edits = listEdits(before.parts, after.parts, maxParts);
  return edits && { gone: edits.removed.map(({ value }) => value), came: edits.added.map(({ value }) => value) };
}

function entriesOf<K, V>(parts: readonly Part<K, V>[]): Map<K, V> {
  const entries = new Map<K, V>();
  for (const part of parts) if (part) for (const [key, value] of part) entries.set(key, value);
  return entries;
}

function countKeys<K>(parts: readonly (ReadonlyMap<K, unknown> | undefined)[]): Map<K, number> {
  const counts = new Map<K, number>();
  for (const part of parts) if (part) for (const key of part.keys()) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}
