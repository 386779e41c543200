import { flags, headerLength, maxMessageSize, recordTypes } from './constants.ts';
import type { Query } from './query.ts';
import type { RecordSet } from './record.ts';

const optLength = 11;
/** A compression pointer has 14 bits of offset. */
const pointerLimit = 0x4000;

type Section = 'answer' | 'authority' | 'additional';
const countOffset: Readonly<Record<Section, number>> = { answer: 6, authority: 8, additional: 10 };

/**
 * Writes one response after another into the same buffer. Sections must be written in order.
 * Records that do not fit are left out whole: `truncated` tells so for the answer section (the TC bit).
 */
export class ResponseWriter {
  readonly #buffer = Buffer.alloc(maxMessageSize);
  readonly #payloadSize: number;
  #position = 0;
  #end = 0;
  #edns = false;
  #dnssecOk = false;
  #truncated = false;

  /** `payloadSize`: the UDP payload we say we can take, in our OPT records. */
  constructor(payloadSize: number) {
    this.#payloadSize = payloadSize;
  }

  /** Begins a response of at most `limit` bytes to a question, which is copied with its case. */
  begin(request: Uint8Array, query: Query, limit: number): void {
    this.#edns = query.edns !== undefined;
    this.#dnssecOk = query.edns?.dnssecOk ?? false;
    this.#truncated = false;
    this.#end = limit - (this.#edns ? optLength : 0);
    this.#buffer.fill(0, 4, headerLength);
    this.#buffer.writeUInt16BE(query.id, 0);
    this.#buffer[5] = 1;
    this.#buffer.set(request.subarray(headerLength, query.questionEnd), headerLength);
    this.#position = query.questionEnd;
  }

  /** Where the next record will begin. */
  get position(): number {
    return this.#position;
  }

  get truncated(): boolean {
    return this.#truncated;
  }

  /**
   * Appends record `index` of the set with its owner pointing at `owner`, an offset in this message.
   * Returns where it was put, or -1 when it does not fit.
   */
  addRecord(section: Section, set: RecordSet, index: number, owner: number): number {
    const start = set.offsets[index]!;
    const end = set.offsets[index + 1]!;
    const at = this.#position;
    if (at + end - start > this.#end || owner >= pointerLimit) {
      if (section === 'answer') this.#truncated = true;
      return -1;
    }
    this.#buffer.set(start === 0 && end === set.bytes.length ? set.bytes : set.bytes.subarray(start, end), at);
    this.#buffer.writeUInt16BE(0xc000 | owner, at);
    this.#position = at + end - start;
    this.#count(section, 1);
    return at;
  }

  /** Appends the whole set, beginning with record `first` and going round. Stops at the first record that does not fit. */
  addSet(section: Section, set: RecordSet, owner: number, first = 0): void {
    const count = set.offsets.length - 1;
    for (let step = 0; step < count; step++) {
      const index = first + step < count ? first + step : first + step - count;
      if (this.addRecord(section, set, index, owner) < 0) return;
    }
  }

  /** Appends records already in wire form, owner names included and none of them compressed. Stops at the first that does not fit. */
  addEncoded(section: Section, records: readonly Uint8Array[]): void {
    for (const record of records) {
      if (this.#position + record.length > this.#end) {
        if (section === 'answer') this.#truncated = true;
        return;
      }
      this.#buffer.set(record, this.#position);
      this.#position += record.length;
      this.#count(section, 1);
    }
  }

  #count(section: Section, more: number): void {
    const at = countOffset[section];
    this.#buffer.writeUInt16BE(this.#buffer.readUInt16BE(at) + more, at);
  }

  /** Ends the response and returns a copy of it. `bits` are header bits besides QR and TC; `rcode` above 15 needs EDNS. */
  finish(rcode: number, bits: number): Buffer {
    this.#buffer.writeUInt16BE(flags.QR | bits | (this.#truncated ? flags.TC : 0) | (rcode & 15), 2);
    if (this.#edns) {
      writeOpt(this.#buffer, this.#position, this.#payloadSize, rcode, this.#dnssecOk);
      this.#position += optLength;
      this.#count('additional', 1);
    }
    return Buffer.from(this.#buffer.subarray(0, this.#position));
  }
}

/** Our OPT record: no options, since an option echoed without being understood (a client's cookie, say) tells the client a falsehood. */
function writeOpt(buffer: Buffer, at: number, payloadSize: number, rcode: number, dnssecOk: boolean): void {
  buffer[at] = 0;
  buffer.writeUInt16BE(recordTypes.OPT, at + 1);
  buffer.writeUInt16BE(payloadSize, at + 3);
  buffer[at + 5] = rcode >> 4;
  buffer[at + 6] = 0;
  buffer.writeUInt16BE(dnssecOk ? 0x8000 : 0, at + 7);
  buffer.writeUInt16BE(0, at + 9);
}

/** A response that is a header only, for a request whose question could not be read. */
export function headerOnly(id: number, bits: number, rcode: number): Buffer {
  const message = Buffer.alloc(headerLength);
  message.writeUInt16BE(id, 0);
  message.writeUInt16BE(flags.QR | bits | rcode, 2);
  return message;
}
