import { SpdyError } from './error.ts';

// SPDY protocol draft 3.1, section 2.2 (frames) and 2.6 (control frames). Header blocks stay packed here: headers.ts unpacks them.

export type ControlFrame =
  | {
      readonly type: 'syn-stream';
      readonly streamId: number;
      readonly associatedTo: number;
      /** 0 is the highest, 7 the lowest. */
      readonly priority: number;
      readonly fin: boolean;
      readonly unidirectional: boolean;
      readonly block: Buffer;
    }
  | { readonly type: 'syn-reply'; readonly streamId: number; readonly fin: boolean; readonly block: Buffer }
  | { readonly type: 'rst-stream'; readonly streamId: number; readonly status: number }
  | { readonly type: 'settings'; readonly clear: boolean; readonly entries: readonly Setting[] }
  | { readonly type: 'ping'; readonly id: number }
  | { readonly type: 'goaway'; readonly lastStreamId: number; readonly status: number }
  | { readonly type: 'headers'; readonly streamId: number; readonly fin: boolean; readonly block: Buffer }
  | { readonly type: 'window-update'; readonly streamId: number; readonly delta: number };

export interface Setting {
  readonly id: number;
  readonly flags: number;
  readonly value: number;
}

/** Data of a stream. A reader may give one frame in several pieces; only the last has its `fin`. */
export interface DataFrame {
  readonly type: 'data';
  readonly streamId: number;
  readonly fin: boolean;
  readonly data: Buffer;
}

export type Frame = ControlFrame | DataFrame;

/** A kind of control frame that this version does not know (CREDENTIAL, or one of a later draft); it has no meaning here. */
interface UnknownFrame {
  readonly type: 'unknown';
}

const version = 3;
const finFlag = 0x01;
const unidirectionalFlag = 0x02;
const headerLength = 8;
/** Control frames are kept whole until they are read; one longer than this is refused. A header block of this size is far beyond any real one. */
const largestControlFrame = 64 * 1024;
/** The largest length that a frame can have: it is told in 24 bits. */
const largestFrame = 0xff_ffff;

const types = {
  'syn-stream': 1,
  'syn-reply': 2,
  'rst-stream': 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  headers: 8,
  'window-update': 9,
} as const;

/** The bytes of a frame. @throws RangeError for data beyond 2^24 - 1 bytes. */
export function encodeFrame(frame: Frame): Buffer {
  if (frame.type === 'data') return Buffer.concat([encodeDataHeader(frame.streamId, frame.data.length, frame.fin), frame.data]);
  const [flags, payload] = encodePayload(frame);
  if (payload.length > largestFrame) throw new RangeError(`a ${frame.type} frame of ${payload.length} bytes is too long`);
  const header = Buffer.alloc(headerLength);
  header.writeUInt16BE(0x8000 | version, 0);
  header.writeUInt16BE(types[frame.type], 2);
  header.writeUInt32BE(flags * 0x100_0000 + payload.length, 4);
  return Buffer.concat([header, payload]);
}

/** What stands before the data of a frame, so that the data need not be copied. */
export function encodeDataHeader(streamId: number, length: number, fin: boolean): Buffer {
  if (length > largestFrame) throw new RangeError(`a data frame of ${length} bytes is too long`);
  const header = Buffer.alloc(headerLength);
  header.writeUInt32BE(streamId, 0);
  header.writeUInt32BE((fin ? finFlag : 0) * 0x100_0000 + length, 4);
  return header;
}

function encodePayload(frame: ControlFrame): readonly [flags: number, payload: Buffer] {
  switch (frame.type) {
    case 'syn-stream': {
      const head = numbers(frame.streamId, frame.associatedTo, frame.priority * 0x2000_0000).subarray(0, 10);
      return [(frame.fin ? finFlag : 0) | (frame.unidirectional ? unidirectionalFlag : 0), Buffer.concat([head, frame.block])];
    }
    case 'syn-reply':
    case 'headers':
      return [frame.fin ? finFlag : 0, Buffer.concat([numbers(frame.streamId), frame.block])];
    case 'rst-stream':
      return [0, numbers(frame.streamId, frame.status)];
    case 'settings': {
      const entries = frame.entries.flatMap(({ id, flags, value }) => [flags * 0x100_0000 + id, value]);
      return [frame.clear ? 1 : 0, numbers(frame.entries.length, ...entries)];
    }
    case 'ping':
      return [0, numbers(frame.id)];
    case 'goaway':
      return [0, numbers(frame.lastStreamId, frame.status)];
    case 'window-update':
      return [0, numbers(frame.streamId, frame.delta)];
  }
}

function numbers(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, index * 4);
  return bytes;
}

/** Where a reader stands between two chunks. */
export interface ReadState {
  /** The beginning of a frame whose rest has not come. */
  readonly pending: Buffer;
  /** The data frame that is being read. */
  readonly data: { readonly streamId: number; readonly left: number; readonly fin: boolean } | undefined;
}

export const initialReadState: ReadState = { pending: Buffer.alloc(0), data: undefined };

/**
 * Reads what has come. Data is given as it comes, in pieces; control frames when they are whole. Frames of unknown kinds are passed over.
 * @throws SpdyError for what is no SPDY/3 frame, or a control frame too long to be kept.
 */
export function readFrames(state: ReadState, chunk: Buffer): readonly [Frame[], ReadState] {
  const bytes = state.pending.length > 0 ? Buffer.concat([state.pending, chunk]) : chunk;
  const frames: Frame[] = [];
  let data = state.data;
  let at = 0;
  for (;;) {
    if (data) {
      const piece = bytes.subarray(at, at + data.left);
      at += piece.length;
      const left = data.left - piece.length;
      if (piece.length > 0 || left === 0) {
        frames.push({ type: 'data', streamId: data.streamId, fin: data.fin && left === 0, data: piece });
      }
      data = left === 0 ? undefined : { ...data, left };
      if (data) return [frames, { pending: Buffer.alloc(0), data }];
    }
    if (bytes.length - at < headerLength) break;
    const flags = bytes[at + 4]!;
    const length = bytes.readUIntBE(at + 5, 3);
    if ((bytes[at]! & 0x80) === 0) {
      data = { streamId: bytes.readUInt32BE(at), left: length, fin: (flags & finFlag) !== 0 };
      if (data.streamId === 0) throw new SpdyError('data of stream 0');
      at += headerLength;
      continue;
    }
    if (length > largestControlFrame) throw new SpdyError(`a control frame of ${length} bytes`);
    const end = at + headerLength + length;
    if (end > bytes.length) break;
    if ((bytes.readUInt16BE(at) & 0x7fff) !== version) throw new SpdyError(`frames of version ${bytes.readUInt16BE(at) & 0x7fff}, not 3`);
    const frame = parseControl(bytes.readUInt16BE(at + 2), flags, bytes.subarray(at + headerLength, end));
    if (frame.type !== 'unknown') frames.push(frame);
    at = end;
  }
  // A copy: what is left must not keep the whole chunk in memory.
  return [frames, { pending: at === bytes.length ? initialReadState.pending : Buffer.from(bytes.subarray(at)), data: undefined }];
}

function parseControl(type: number, flags: number, payload: Buffer): ControlFrame | UnknownFrame {
  const fin = (flags & finFlag) !== 0;
  const need = (length: number, exactly: boolean): void => {
    if (payload.length < length || (exactly && payload.length !== length))
      throw new SpdyError(`a control frame of type ${type} with ${payload.length} bytes`);
  };
  const id = (offset: number): number => payload.readUInt32BE(offset) & 0x7fff_ffff;
  switch (type) {
    case types['syn-stream']:
      need(10, false);
      return {
        type: 'syn-stream',
        streamId: stream(id(0)),
        associatedTo: id(4),
        priority: payload[8]! >> 5,
        fin,
        unidirectional: (flags & unidirectionalFlag) !== 0,
        block: payload.subarray(10),
      };
    case types['syn-reply']:
    case types.headers:
      need(4, false);
      return { type: type === types.headers ? 'headers' : 'syn-reply', streamId: stream(id(0)), fin, block: payload.subarray(4) };
    case types['rst-stream']:
      need(8, true);
      return { type: 'rst-stream', streamId: stream(id(0)), status: payload.readUInt32BE(4) };
    case types.settings:
      return parseSettings((flags & 1) !== 0, payload);
    case types.ping:
      need(4, true);
      return { type: 'ping', id: payload.readUInt32BE(0) };
    case types.goaway:
      need(8, true);
      return { type: 'goaway', lastStreamId: id(0), status: payload.readUInt32BE(4) };
    case types['window-update']:
      need(8, true);
      if (id(4) === 0) throw new SpdyError('a window grows by nothing');
      return { type: 'window-update', streamId: id(0), delta: id(4) };
    default:
      return { type: 'unknown' };
  }
}

function stream(id: number): number {
  if (id === 0) throw new SpdyError('a frame for stream 0');
  return id;
}

function parseSettings(clear: boolean, payload: Buffer): ControlFrame {
  const count = payload.length < 4 ? -1 : payload.readUInt32BE(0);
  if (payload.length !== 4 + count * 8) throw new SpdyError(`settings of ${payload.length} bytes`);
  const entries = Array.from({ length: count }, (_, index) => ({
    flags: payload[4 + index * 8]!,
    id: payload.readUIntBE(5 + index * 8, 3),
    value: payload.readUInt32BE(8 + index * 8),
  }));
  return { type: 'settings', clear, entries };
}
