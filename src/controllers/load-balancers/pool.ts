import { type Address, addressFromValue, type Family, lastAddress, type Prefix, tryParseAddress, tryParsePrefix } from '../../net/index.ts';
import { ControllersError } from '../errors.ts';

/** Addresses from the first to the last, both included. */
export interface AddressRange {
  readonly family: Family;
  readonly first: bigint;
  readonly last: bigint;
  /** As it was given. */
  readonly text: string;
}

/**
 * Reads a pool as `192.0.2.0/28` or `192.0.2.10-192.0.2.20`. Of an IPv4 network the first and the last address are left out when it has more
 * than two: some systems do not deliver to them.
 * @throws ControllersError
 */
function readPool(text: string): AddressRange {
  const bad = (reason: string): ControllersError =>
    new ControllersError('bad-option', `load-balancer pool ${JSON.stringify(text)}: ${reason}`);
  const [from = '', to, ...more] = text.split('-');
  if (to !== undefined) {
    const [first, last] = [tryParseAddress(from.trim()), tryParseAddress(to.trim())];
    if (!first || !last || more.length > 0) throw bad('expected FIRST-LAST, two IP addresses');
    if (first.family !== last.family) throw bad('its two addresses are of different families');
    if (first.value > last.value) throw bad('its first address comes after its last');
    return { family: first.family, first: first.value, last: last.value, text };
  }
  const prefix = tryParsePrefix(text, { strict: true });
  if (!prefix) throw bad('expected a CIDR without host bits, such as 192.0.2.0/28, or FIRST-LAST');
  const { family, address } = prefix;
  const last = lastAddress(prefix).value;
  const trim = family === 4 && last - address.value > 1n ? 1n : 0n;
  return { family, first: address.value + trim, last: last - trim, text };
}

/** Reads several pools. @throws ControllersError also when two of them share addresses. */
export function readPools(texts: readonly string[]): readonly AddressRange[] {
  const ranges = texts.map(readPool);
  for (const [index, a] of ranges.entries()) {
    const b = ranges.slice(index + 1).find((other) => other.family === a.family && other.first <= a.last && a.first <= other.last);
    if (b) throw new ControllersError('overlap', `load-balancer pools ${a.text} and ${b.text} overlap`);
  }
  return ranges;
}

/** @throws ControllersError when a pool has addresses of the range. */
export function checkPools(pools: readonly AddressRange[], range: Prefix, name: string): void {
  const last = lastAddress(range).value;
  const pool = pools.find((each) => each.family === range.family && each.first <= last && range.address.value <= each.last);
  if (pool) throw new ControllersError('overlap', `load-balancer pool ${pool.text} overlaps ${name} ${range.text}`);
}

export const poolHolds = (pools: readonly AddressRange[], { family, value }: Address): boolean =>
  pools.some((range) => range.family === family && range.first <= value && value <= range.last);

/** The lowest free address of the family. Costs no more steps than there are addresses in use. */
export function firstFree(pools: readonly AddressRange[], family: Family, isUsed: (text: string) => boolean): string | undefined {
  for (const range of pools) {
    if (range.family !== family) continue;
    for (let value = range.first; value <= range.last; value++) {
      const { text } = addressFromValue(family, value);
      if (!isUsed(text)) return text;
    }
  }
  return undefined;
}
