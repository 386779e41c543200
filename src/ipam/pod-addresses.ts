import { type Address, addressFromValue, nthAddress } from '../net/index.ts';
import { type AddressRange, rangeOf, type RangeSet, rangeText } from './pod-addresses-range.ts';

/** Is the address (canonical text) taken? */
export interface TakenAddresses {
  has(address: string): boolean;
}

/** No address is left in a set. The message names its ranges. */
export class AddressesExhaustedError extends Error {
  readonly set: RangeSet;
  constructor(set: RangeSet) {
    super(`no free address left in ${set.map(rangeText).join(', ')}`);
    this.name = 'AddressesExhaustedError';
    this.set = set;
  }
}

/**
 * One free address out of each set. The first set is walked on from the address given last (next-fit), so that a released address rests
 * for as long as it can. Each other set gives the address with the same offset when that is free, so that the two addresses of a pod
 * belong together and are reused together; else it is walked on in the same way.
 * @param last the addresses given last, one per set, as far as known
 * @throws AddressesExhaustedError for the first set without a free address
 */
export function chooseAddresses(sets: readonly RangeSet[], last: readonly (Address | undefined)[], taken: TakenAddresses): Address[] {
  let first: Address | undefined;
  return sets.map((set, index) => {
    const paired = first && sameOffset(sets[0]!, first, set);
    const address = paired && !taken.has(paired.text) ? paired : nextFree(set, last[index], taken);
    if (!address) throw new AddressesExhaustedError(set);
    first ??= address;
    return address;
  });
}

/** The first free address of the set after `last`, around its end; undefined when there is none. */
export function nextFree(set: RangeSet, last: Address | undefined, taken: TakenAddresses): Address | undefined {
  for (const candidate of walkFrom(set, last)) if (!taken.has(candidate.text)) return candidate;
  return undefined;
}

/** Every usable address of the set once: from the one after `last` to the end, then from the start up to `last`. */
export function* walkFrom(set: RangeSet, last: Address | undefined): Generator<Address> {
  const at = last ? set.findIndex((range) => rangeHolds(range, last)) : -1;
  if (at < 0 || !last) {
    for (const range of set) yield* walk(range, range.start.value, range.end.value);
    return;
  }
  yield* walk(set[at]!, last.value + 1n, set[at]!.end.value);
  for (const range of set.slice(at + 1)) yield* walk(range, range.start.value, range.end.value);
  for (const range of set.slice(0, at)) yield* walk(range, range.start.value, range.end.value);
  yield* walk(set[at]!, set[at]!.start.value, last.value);
}

/** The usable addresses of the set after `last`, up to its end; all of them when `last` is none of the set. */
export function* walkOn(set: RangeSet, last: Address | undefined): Generator<Address> {
  const at = last ? set.findIndex((range) => rangeHolds(range, last)) : -1;
  for (const range of set.slice(Math.max(at, 0)))
    yield* walk(range, last && rangeHolds(range, last) ? last.value + 1n : range.start.value, range.end.value);
}

function* walk({ subnet, gateway }: AddressRange, from: bigint, to: bigint): Generator<Address> {
  for (let value = from; value <= to; value++) if (value !== gateway.value) yield addressFromValue(subnet.family, value);
}

const rangeHolds = ({ start, end }: AddressRange, { family, value }: Address): boolean =>
  family === start.family && value >= start.value && value <= end.value;

/** The address of `to` that has the same offset in its subnet as `address` in its own; undefined when that is none for pods. */
export function sameOffset(from: RangeSet, address: Address, to: RangeSet): Address | undefined {
  const index = from.findIndex((range) => rangeHolds(range, address));
  const source = from[index];
  const target = to[index];
  if (!source || !target) return undefined;
  const offset = address.value - source.subnet.address.value;
  const last = target.end.value - target.subnet.address.value;
  if (offset > last) return undefined;
  const paired = nthAddress(target.subnet, offset);
  return rangeOf(to, paired) ? paired : undefined;
}
