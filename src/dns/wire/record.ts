import { classes, headerLength, recordTypes } from './constants.ts';

/**
 * The records of one type at one name, encoded. Every record's owner is a compression pointer (2 bytes, here to the question's name)
 * that the response writer aims elsewhere when the owner is another name.
 */
export interface RecordSet {
  readonly type: number;
  readonly bytes: Uint8Array;
  /** Where each record begins in `bytes`, then its length. */
  readonly offsets: readonly number[];
  /** Of SRV: where each record's target lives, in the order of the records; its addresses go into the additional section. */
  readonly targets?: readonly NameEntry[];
}

/** All that a name holds. Without sets it is an empty non-terminal: it exists and answers NODATA. */
export interface NameEntry {
  readonly sets: readonly RecordSet[];
  /** The target of its CNAME, a wire name. */
  readonly alias?: Uint8Array;
}

export const emptyEntry: NameEntry = { sets: [] };

export const countRecords = (set: RecordSet): number => set.offsets.length - 1;

/** Bytes of a record before its data when the owner is a pointer: owner 2, type 2, class 2, ttl 4, length 2. */
export const recordHeaderLength = 12;

const questionPointer = 0xc000 | headerLength;

/** Encodes one set. `ttl` in seconds; each of `data` is one record's RDATA. */
export function encodeSet(type: number, ttl: number, data: readonly Uint8Array[], targets?: readonly NameEntry[]): RecordSet {
  const bytes = Buffer.allocUnsafe(data.reduce((sum, each) => sum + recordHeaderLength + each.length, 0));
  const offsets: number[] = [];
  let at = 0;
  for (const each of data) {
    offsets.push(at);
    bytes.writeUInt16BE(questionPointer, at);
    bytes.writeUInt16BE(type, at + 2);
    bytes.writeUInt16BE(classes.IN, at + 4);
    bytes.writeUInt32BE(ttl, at + 6);
    bytes.writeUInt16BE(each.length, at + 10);
    bytes.set(each, at + recordHeaderLength);
    at += recordHeaderLength + each.length;
  }
  offsets.push(at);
  return targets ? { type, bytes, offsets, targets } : { type, bytes, offsets };
}

/** RDATA of SRV (RFC 2782): the target is never compressed. */
export function srvData(priority: number, weight: number, port: number, target: Uint8Array): Uint8Array {
  const data = Buffer.allocUnsafe(6 + target.length);
  data.writeUInt16BE(priority, 0);
  data.writeUInt16BE(weight, 2);
  data.writeUInt16BE(port, 4);
  data.set(target, 6);
  return data;
}

/** Where the target begins in a SRV record whose owner is a pointer. */
export const srvTargetOffset = recordHeaderLength + 6;

/** RDATA of TXT with one string. @throws RangeError over 255 bytes. */
export function txtData(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length > 255) throw new RangeError('a TXT string has at most 255 bytes');
  return Buffer.concat([Uint8Array.of(bytes.length), bytes]);
}

export interface Soa {
  /** Wire names. */
  readonly primary: Uint8Array;
  readonly mailbox: Uint8Array;
  readonly serial: number;
  /** Seconds. `minimum` is how long a negative answer may be kept (RFC 2308 section 4). */
  readonly refresh: number;
  readonly retry: number;
  readonly expire: number;
  readonly minimum: number;
}

export function soaData(soa: Soa): Uint8Array {
  const numbers = Buffer.allocUnsafe(20);
  [soa.serial >>> 0, soa.refresh, soa.retry, soa.expire, soa.minimum].forEach((number, index) => numbers.writeUInt32BE(number, index * 4));
  return Buffer.concat([soa.primary, soa.mailbox, numbers]);
}

/** The set of the type at the entry. */
export function findSet(entry: NameEntry, type: number): RecordSet | undefined {
  for (const set of entry.sets) if (set.type === type) return set;
  return undefined;
}

export const isAddressSet = (set: RecordSet): boolean => set.type === recordTypes.A || set.type === recordTypes.AAAA;
