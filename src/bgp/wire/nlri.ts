import { addressBits, addressFromBytes, addressToBytes, type Family, type Prefix, prefixOf } from '../../net/index.ts';
import { TruncatedError } from './error.ts';
import type { Reader } from './reader.ts';
import type { Writer } from './writer.ts';

/** Octets that the prefix takes on the wire: its length, then as many octets as hold the fixed bits (RFC 4271 section 4.3). */
export const nlriLength = (prefix: Prefix): number => 1 + Math.ceil(prefix.length / 8);

export function writePrefix(writer: Writer, prefix: Prefix): void {
  writer.u8(prefix.length).bytes(addressToBytes(prefix.address).subarray(0, Math.ceil(prefix.length / 8)));
}

/**
 * Reads prefixes to the end. Bits after the prefix length carry no meaning (RFC 4271 section 4.3) and are cleared.
 * @throws TruncatedError for a length that the family does not have, or too few octets: RFC 7606 section 5.3 calls both syntactically incorrect.
 */
export function readPrefixes(reader: Reader, family: Family): Prefix[] {
  const prefixes: Prefix[] = [];
  const octets = addressBits(family) / 8;
  while (reader.remaining > 0) {
    const length = reader.u8();
    if (length > addressBits(family)) throw new TruncatedError();
    const bytes = new Uint8Array(octets);
    bytes.set(reader.bytes(Math.ceil(length / 8)));
    prefixes.push(prefixOf(addressFromBytes(bytes), length));
  }
  return prefixes;
}
