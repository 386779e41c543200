import { flags, headerLength, recordTypes } from './constants.ts';
import { FormatError, nameKey, readName } from './name.ts';

/** A record of a message received, names uncompressed. */
export interface ReceivedRecord {
  /** Wire name. */
  readonly owner: Uint8Array;
  readonly type: number;
  readonly class: number;
  readonly ttl: number;
  /** RDATA with its names uncompressed; undefined for a type whose compressed names we cannot expand. */
  readonly data: Uint8Array | undefined;
  /** Offset after the record in the message. */
  readonly end: number;
}

/** A response received from an upstream. */
export interface ReceivedMessage {
  readonly id: number;
  readonly isResponse: boolean;
  readonly truncated: boolean;
  readonly flags: number;
  readonly rcode: number;
  readonly question: { readonly name: Uint8Array; readonly key: string; readonly type: number; readonly class: number };
  readonly questionEnd: number;
  readonly answers: readonly ReceivedRecord[];
  readonly authorities: readonly ReceivedRecord[];
  readonly additionals: readonly ReceivedRecord[];
}

/**
 * Reads a message with exactly one question and all of its records.
 * @throws FormatError for anything malformed; bounded by the message's length.
 */
export function readMessage(message: Uint8Array): ReceivedMessage {
  if (message.length < headerLength) throw new FormatError('a message is shorter than its header');
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  if (view.getUint16(4) !== 1) throw new FormatError(`a message with ${view.getUint16(4)} questions`);
  const question = readName(message, headerLength);
  if (question.next + 4 > message.length) throw new FormatError('the question is cut off');
  let at = question.next + 4;
  const section = (count: number): ReceivedRecord[] => {
    const records: ReceivedRecord[] = [];
    for (let index = 0; index < count; index++) {
      const record = readRecord(message, view, at);
      records.push(record);
      at = record.end;
    }
    return records;
  };
  const bits = view.getUint16(2);
  return {
    id: view.getUint16(0),
    isResponse: (bits & flags.QR) !== 0,
    truncated: (bits & flags.TC) !== 0,
    flags: bits,
    rcode: bits & 15,
    question: {
      name: question.wire,
      key: nameKey(question.wire),
      type: view.getUint16(question.next),
      class: view.getUint16(question.next + 2),
    },
    questionEnd: at,
    answers: section(view.getUint16(6)),
    authorities: section(view.getUint16(8)),
    additionals: section(view.getUint16(10)),
  };
}

function readRecord(message: Uint8Array, view: DataView, offset: number): ReceivedRecord {
  const { wire: owner, next } = readName(message, offset);
  if (next + 10 > message.length) throw new FormatError('a record is cut off');
  const type = view.getUint16(next);
  const start = next + 10;
  const end = start + view.getUint16(next + 8);
  if (end > message.length) throw new FormatError('a record is cut off');
  return { owner, type, class: view.getUint16(next + 2), ttl: view.getUint32(next + 4), data: expandData(message, type, start, end), end };
}

/** Types that RFC 3597 section 4 lets a sender compress: bytes before the names, number of names. Others are plain bytes. */
const layouts: Readonly<Record<number, { readonly before: number; readonly names: number }>> = {
  [recordTypes.NS]: { before: 0, names: 1 },
  [recordTypes.CNAME]: { before: 0, names: 1 },
  [recordTypes.SOA]: { before: 0, names: 2 },
  [recordTypes.PTR]: { before: 0, names: 1 },
  [recordTypes.MX]: { before: 2, names: 1 },
  [recordTypes.SRV]: { before: 6, names: 1 },
};
/** MD, MF, MB, MG, MR, MINFO, RP, AFSDB, RT, SIG, PX, NXT, NAPTR: names inside, seldom seen. */
const unexpanded = new Set([3, 4, 7, 8, 9, 14, 17, 18, 21, 24, 26, 30, 35]);

function expandData(message: Uint8Array, type: number, start: number, end: number): Uint8Array | undefined {
  if (unexpanded.has(type)) return undefined;
  const layout = layouts[type];
  if (!layout) return message.subarray(start, end);
  const parts = [message.subarray(start, start + layout.before)];
  let at = start + layout.before;
  for (let index = 0; index < layout.names; index++) {
    const name = readName(message, at);
    parts.push(name.wire);
    at = name.next;
  }
  if (at > end) throw new FormatError('a name runs past the end of its record');
  parts.push(message.subarray(at, end));
  return Buffer.concat(parts);
}

/** A record in wire form, nothing compressed. */
export function encodeRecord(owner: Uint8Array, type: number, recordClass: number, ttl: number, data: Uint8Array): Uint8Array {
  const fixed = Buffer.allocUnsafe(10);
  fixed.writeUInt16BE(type, 0);
  fixed.writeUInt16BE(recordClass, 2);
  fixed.writeUInt32BE(ttl, 4);
  fixed.writeUInt16BE(data.length, 8);
  return Buffer.concat([owner, fixed, data]);
}
