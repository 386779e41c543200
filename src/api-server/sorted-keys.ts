/** A block is split when it grows beyond this. */
const blockSize = 512;

/**
 * A set of strings in order. Kept in blocks, so that adding to or taking from a hundred thousand moves some hundred entries and not all. Code units
 * are the order, which is the store's too: keys are ASCII.
 */
export class SortedKeys {
  /** No block is empty but the only one. */
  readonly #blocks: string[][] = [[]];

  /** Must not be there yet. */
  add(key: string): void {
    const index = this.#blockOf(key);
    const block = this.#blocks[index]!;
    block.splice(firstNotBefore(block, key), 0, key);
    if (block.length > blockSize) this.#blocks.splice(index + 1, 0, block.splice(blockSize / 2));
  }

  /** Must be there. */
  delete(key: string): void {
    const index = this.#blockOf(key);
    const block = this.#blocks[index]!;
    block.splice(firstNotBefore(block, key), 1);
    if (block.length === 0 && this.#blocks.length > 1) this.#blocks.splice(index, 1);
  }

  /** Those that start with the prefix, in order; with `after`, those that come after it alone. The set must not be changed meanwhile. */
  *startingWith(prefix: string, after = ''): Generator<string> {
    const first = after > prefix ? after : prefix;
    let index = this.#blockOf(first);
    let at = firstNotBefore(this.#blocks[index]!, first);
    for (; index < this.#blocks.length; index++, at = 0) {
      const block = this.#blocks[index]!;
      for (; at < block.length; at++) {
        const key = block[at]!;
        if (!key.startsWith(prefix)) return;
        if (key > after) yield key;
      }
    }
  }

  /** How many {@link startingWith} would find. Looks at blocks, not at keys. */
  count(prefix: string, after = ''): number {
    const first = after < prefix ? this.#rank(prefix) : this.#rank(`${after}\0`);
    return Math.max(0, this.#rank(`${prefix}\uffff`) - first);
  }

  /** How many come before it. */
  #rank(key: string): number {
    const index = this.#blockOf(key);
    let before = firstNotBefore(this.#blocks[index]!, key);
    for (let i = 0; i < index; i++) before += this.#blocks[i]!.length;
    return before;
  }

  /** Index of the last block whose first key is not after `key`; 0 when there is none. */
  #blockOf(key: string): number {
    let low = 0;
    let high = this.#blocks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#blocks[middle]![0]! <= key) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }
}

/** Index of the first that is not before `key`. */
function firstNotBefore(sorted: readonly string[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
