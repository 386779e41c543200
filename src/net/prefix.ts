import IPCIDR from 'ip-cidr';
import { type Address, addressBits, addressFromValue, type Family, tryParseAddress } from './address.ts';

/** An IP prefix (CIDR). `address` is its network address; `text` is canonical and usable as a map key. */
export interface Prefix {
  readonly family: Family;
  readonly address: Address;
  /** Number of leading bits that are fixed. */
  readonly length: number;
  readonly text: string;
}

/** Reads `address/length`. Undefined when the text is no CIDR; host bits are allowed and cleared unless `strict`. */
export function tryParsePrefix(text: string, { strict = false } = {}): Prefix | undefined {
  const slash = text.indexOf('/');
  const address = tryParseAddress(text.slice(0, Math.max(slash, 0)));
  if (!address || !/^\/(0|[1-9]\d{0,2})$/.test(text.slice(slash))) return undefined;
  const length = Number(text.slice(slash + 1));
  if (length > addressBits(address.family) || !IPCIDR.isValidCIDR(text)) return undefined;
  const prefix = prefixOf(address, length);
  return strict && prefix.address.value !== address.value ? undefined : prefix;
}

/** As {@link tryParsePrefix}. @throws RangeError naming the text and what is wrong. */
export function parsePrefix(text: string, options: { strict?: boolean } = {}): Prefix {
  const prefix = tryParsePrefix(text, options);
  if (prefix) return prefix;
  const loose = options.strict ? tryParsePrefix(text) : undefined;
  throw new RangeError(
    loose
      ? `${JSON.stringify(text)} has host bits set; did you mean ${loose.text}?`
      : `${JSON.stringify(text)} is not a CIDR such as 10.244.0.0/16`,
  );
}

/** The prefix of `length` bits that holds the address. */
export function prefixOf(address: Address, length: number): Prefix {
  const hostBits = BigInt(addressBits(address.family) - length);
  const network = addressFromValue(address.family, (address.value >> hostBits) << hostBits);
  return { family: address.family, address: network, length, text: `${network.text}/${length}` };
}

/** How many addresses the prefix holds. */
export const prefixSize = (prefix: Prefix): bigint => 1n << BigInt(addressBits(prefix.family) - prefix.length);

export const lastAddress = (prefix: Prefix): Address => addressFromValue(prefix.family, prefix.address.value + prefixSize(prefix) - 1n);

/** The address `index` places after the network address. @throws RangeError when it is outside the prefix. */
export function nthAddress(prefix: Prefix, index: bigint): Address {
  if (index < 0n || index >= prefixSize(prefix)) throw new RangeError(`${prefix.text} has no address number ${index}`);
  return addressFromValue(prefix.family, prefix.address.value + index);
}

/** The `index`-th sub-prefix of `length` bits. @throws RangeError when it is outside the prefix. */
export function nthPrefix(prefix: Prefix, length: number, index: bigint): Prefix {
  if (length < prefix.length || index < 0n || index >= 1n << BigInt(length - prefix.length)) {
    throw new RangeError(`${prefix.text} has no /${length} number ${index}`);
  }
  return prefixOf(addressFromValue(prefix.family, prefix.address.value + (index << BigInt(addressBits(prefix.family) - length))), length);
}

export const prefixContains = (prefix: Prefix, address: Address): boolean =>
  prefix.family === address.family && address.value >= prefix.address.value && address.value < prefix.address.value + prefixSize(prefix);

export const prefixesOverlap = (a: Prefix, b: Prefix): boolean => prefixContains(a, b.address) || prefixContains(b, a.address);
