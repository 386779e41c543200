import { type Address, lastAddress, type Prefix } from '../net/index.ts';

/** Addresses from `first` to `last`, both included, as unsigned integers. */
export interface Range {
  readonly first: bigint;
  readonly last: bigint;
}

export const rangeOf = (prefix: Prefix): Range => ({ first: prefix.address.value, last: lastAddress(prefix).value });

/** The block without its exceptions: disjoint ranges in order, none touching the next. Exceptions may lie anywhere. */
export function subtract(block: Range, exceptions: readonly Range[]): Range[] {
  const left: Range[] = [];
  let at = block.first;
  for (const { first, last } of [...exceptions].sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0))) {
    if (last < at || first > block.last) continue;
    if (first > at) left.push({ first: at, last: first - 1n });
    at = last + 1n;
  }
  if (at <= block.last) left.push({ first: at, last: block.last });
  return left;
}

export const inRanges = (ranges: readonly Range[], { value }: Address): boolean =>
  ranges.some(({ first, last }) => value >= first && value <= last);
