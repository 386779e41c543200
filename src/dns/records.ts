import { type Address, addressToBytes, type Family } from '../net/index.ts';
import { encodeSet, nameFromText, nameKey, type NameEntry, type RecordSet, recordTypes } from './wire/index.ts';

/** A or AAAA of the addresses, all of one family. */
export const addressSet = (ttl: number, addresses: readonly Address[]): RecordSet =>
  encodeSet(addresses[0]?.family === 6 ? recordTypes.AAAA : recordTypes.A, ttl, addresses.map(addressToBytes));

/** An entry with the addresses of both families, in the order given. */
export function addressEntry(ttl: number, addresses: readonly Address[]): NameEntry {
  const families: Family[] = [4, 6];
  return {
    sets: families.flatMap((family) => {
      const own = addresses.filter((address) => address.family === family);
      return own.length > 0 ? [addressSet(ttl, own)] : [];
    }),
  };
}

/** The reverse name of an address in text: `7.1.244.10.in-addr.arpa`, or 32 nibbles under ip6.arpa (RFC 3596 section 2.5). */
function reverseNameOf(address: Address): string {
  const bytes = addressToBytes(address);
  if (address.family === 4) return `${Array.from(bytes).reverse().join('.')}.in-addr.arpa`;
  return `${[...Buffer.from(bytes).toString('hex')].reverse().join('.')}.ip6.arpa`;
}

/** The key of that name. */
export const reverseKeyOf = (address: Address): string => nameKey(nameFromText(reverseNameOf(address)));
