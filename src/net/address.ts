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
  const value = dottedQuad(text);
  if (value !== undefined) return { family: 4, text, value: BigInt(value) };
  if (!text.includes(':') || text.includes('%') || !ipaddr.IPv6.isValid(text)) return undefined;
  return addressFromBytes(ipaddr.IPv6.parse(text).toByteArray());
}

/**
 * The value of four decimal octets. By hand, because a proxy reads tens of thousands at its start. A leading zero, which some take for octal,
 * is refused as Kubernetes and RFC 6943 section 3.1.1 do.
 */
function dottedQuad(text: string): number | undefined {
  if (text.length > 15) return undefined;
  let value = 0;
  let octets = 0;
  let digits = 0;
  let octet = 0;
  for (let at = 0; at <= text.length; at++) {
    const code = at === text.length ? dot : text.charCodeAt(at);
    if (code === dot) {
      if (digits === 0 || octet > 255) return undefined;
      value = value * 256 + octet;
      octets++;
      digits = octet = 0;
    } else {
      if (code < zero || code > nine || (digits > 0 && octet === 0)) return undefined;
      octet = octet * 10 + code - zero;
      digits++;
    }
  }
  return octets === 4 ? value : undefined;
}

const [dot, zero, nine] = ['.', '0', '9'].map((character) => character.charCodeAt(0)) as [number, number, number];

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
