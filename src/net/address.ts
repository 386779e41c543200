import ipaddr from 'ipaddr.js';

export type Family = 4 | 6;

/** One IP address. `text` is canonical (dotted quad, or RFC 5952) and so usable as a map key; `value` is the address as an unsigned integer. */
export interface Address {
  readonly family: Family;
  readonly text: string;
  readonly value: bigint;
}

/** Width of an address of the family, in bits. */
export const addressBits = (family: Family): 32 | 128 => (family === 4 ? 32 : 128);

/** Reads an address in strict text form (no leading zeros, no zone, four decimal octets for IPv4). Undefined if it is none. */
export function tryParseAddress(text: string): Address | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) {
    // ipaddr.js takes a leading zero for octal; Kubernetes and RFC 6943 section 3.1.1 refuse it.
    if (/(^|\.)0\d/.test(text)) return undefined;
    return addressFromBytes(ipaddr.IPv4.parse(text).toByteArray());
  }
  if (!text.includes(':') || text.includes('%') || !ipaddr.IPv6.isValid(text)) return undefined;
  return addressFromBytes(ipaddr.IPv6.parse(text).toByteArray());
}

/** As {@link tryParseAddress}. @throws RangeError naming the text. */
export function parseAddress(text: string): Address {
  const address = tryParseAddress(text);
  if (!address) throw new RangeError(`${JSON.stringify(text)} is not an IP address`);
  return address;
}

/** An address from 4 or 16 bytes in network order. @throws RangeError for any other length. */
export function addressFromBytes(bytes: ArrayLike<number>): Address {
  if (bytes.length !== 4 && bytes.length !== 16) throw new RangeError(`an IP address has 4 or 16 bytes, not ${bytes.length}`);
  let value = 0n;
  for (let i = 0; i < bytes.length; i++) value = (value << 8n) | BigInt(bytes[i]!);
  return addressFromValue(bytes.length === 4 ? 4 : 6, value);
}

/** The address with the unsigned integer `value`. @throws RangeError when it does not fit the family. */
export function addressFromValue(family: Family, value: bigint): Address {
  if (value < 0n || value >= 1n << BigInt(addressBits(family))) throw new RangeError(`${value} is outside IPv${family}`);
  const bytes = valueToBytes(family, value);
  const text = family === 4 ? Array.from(bytes).join('.') : new ipaddr.IPv6(Array.from(bytes)).toRFC5952String();
  return { family, text, value };
}

/** The address in network byte order: 4 or 16 bytes. */
export const addressToBytes = (address: Address): Uint8Array => valueToBytes(address.family, address.value);

function valueToBytes(family: Family, value: bigint): Uint8Array {
  const bytes = new Uint8Array(addressBits(family) / 8);
  for (let i = bytes.length - 1, rest = value; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
  return bytes;
}

/** Orders IPv4 before IPv6, then by value. */
export function compareAddresses(a: Address, b: Address): number {
  if (a.family !== b.family) return a.family - b.family;
  return a.value < b.value ? -1 : a.value > b.value ? 1 : 0;
}
