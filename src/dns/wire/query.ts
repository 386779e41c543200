import { flags, headerLength, rcodes, recordTypes } from './constants.ts';
import { FormatError, nameKey, readName } from './name.ts';

/** EDNS of a request (RFC 6891). Its options are checked for form and then forgotten: none of them is answered. */
export interface Edns {
  /** What the client can take over UDP, in bytes, as it said it. */
  readonly payloadSize: number;
  readonly version: number;
  readonly dnssecOk: boolean;
}

/** One well-formed question. */
export interface Query {
  readonly id: number;
  /** The request's RD and CD bits, in place. */
  readonly flags: number;
  /** The name's key (see nameKey), final zero byte included. */
  readonly key: string;
  /** Where each label begins in `key`; its length is the number of labels. */
  readonly labels: readonly number[];
  readonly type: number;
  readonly class: number;
  /** Offset after the question in the request. */
  readonly questionEnd: number;
  readonly edns: Edns | undefined;
}

export type ParsedQuery =
  /** Not to be answered: no header, or itself a response (answering those makes two servers talk for ever). */
  | { readonly kind: 'drop' }
  | { readonly kind: 'error'; readonly id: number; readonly flags: number; readonly rcode: number }
  | { readonly kind: 'query'; readonly query: Query };

const drop: ParsedQuery = { kind: 'drop' };

/** Reads a request strictly: exactly one question, no compression in it, well-formed records after it, and not a byte more. Never throws. */
export function parseQuery(message: Uint8Array): ParsedQuery {
  if (message.length < headerLength) return drop;
  const word = (at: number): number => (message[at]! << 8) | message[at + 1]!;
  const id = word(0);
  const header = word(2);
  if (header & flags.QR) return drop;
  const kept = header & (flags.RD | flags.CD);
  const opcode = (header >> 11) & 15;
  if (opcode !== 0) return { kind: 'error', id, flags: kept | (opcode << 11), rcode: rcodes.NOTIMP };
  const malformed: ParsedQuery = { kind: 'error', id, flags: kept, rcode: rcodes.FORMERR };
  if (word(4) !== 1 || word(6) !== 0) return malformed;

  const labels: number[] = [];
  let at = headerLength;
  for (let size = message[at]; size !== 0; size = message[at]) {
    if (size === undefined || size > 63) return malformed;
    labels.push(at - headerLength);
    at += size + 1;
    if (at - headerLength > 254) return malformed;
  }
  const nameEnd = at + 1;
  const questionEnd = nameEnd + 4;
  if (questionEnd > message.length) return malformed;
  const records = word(8) + word(10);
  let edns: Edns | undefined;
  if (records > 0 || questionEnd !== message.length) {
    try {
      edns = readRecords(message, questionEnd, word(8), records);
    } catch (error) {
      if (error instanceof FormatError) return malformed;
      throw error;
    }
  }
  return {
    kind: 'query',
    query: {
      id,
      flags: kept,
      key: nameKey(message, headerLength, nameEnd),
      labels,
      type: word(nameEnd),
      class: word(nameEnd + 2),
      questionEnd,
      edns,
    },
  };
}

/** Walks the records after the question and returns the OPT among the additional ones. @throws FormatError */
function readRecords(message: Uint8Array, start: number, authority: number, total: number): Edns | undefined {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  let edns: Edns | undefined;
  let at = start;
  for (let index = 0; index < total; index++) {
    const owner = readName(message, at);
    const fixed = owner.next;
    if (fixed + 10 > message.length) throw new FormatError('a record is cut off');
    const type = view.getUint16(fixed);
    const end = fixed + 10 + view.getUint16(fixed + 8);
    if (end > message.length) throw new FormatError('a record is cut off');
    if (type === recordTypes.OPT) {
      if (edns || index < authority || owner.wire.length !== 1) throw new FormatError('an OPT record out of place');
      checkOptions(view, fixed + 10, end);
      edns = { payloadSize: view.getUint16(fixed + 2), version: message[fixed + 5]!, dnssecOk: (message[fixed + 6]! & 0x80) !== 0 };
    }
    at = end;
  }
  if (at !== message.length) throw new FormatError('bytes after the last record');
  return edns;
}

function checkOptions(view: DataView, start: number, end: number): void {
  let at = start;
  while (at + 4 <= end) at += 4 + view.getUint16(at + 2);
  if (at !== end) throw new FormatError('an EDNS option is cut off');
}

/**
 * A request of our own for an upstream: RD set, one question, EDNS with our payload size. `name` is a wire name.
 */
export function encodeQuery(
  id: number,
  name: Uint8Array,
  type: number,
  { recordClass = 1, checkingDisabled = false, dnssecOk = false, payloadSize = 1232 } = {},
): Buffer {
  const message = Buffer.alloc(headerLength + name.length + 4 + 11);
  message.writeUInt16BE(id, 0);
  message.writeUInt16BE(flags.RD | (checkingDisabled ? flags.CD : 0), 2);
  message.writeUInt16BE(1, 4);
  message.writeUInt16BE(1, 10);
  message.set(name, headerLength);
  const at = headerLength + name.length;
  message.writeUInt16BE(type, at);
  message.writeUInt16BE(recordClass, at + 2);
  message.writeUInt16BE(recordTypes.OPT, at + 5);
  message.writeUInt16BE(payloadSize, at + 7);
  if (dnssecOk) message[at + 11] = 0x80;
  return message;
}
