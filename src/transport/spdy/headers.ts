import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { headerDictionary, headerDictionaryId } from './dictionary.ts';
import { SpdyError } from './error.ts';

/** Names (lower case) and values of a stream. A name that was given several times has its values with NUL between. */
export type Headers = ReadonlyMap<string, string>;

/**
 * What one direction of a connection remembers between header blocks: all blocks of a direction are one zlib stream. Each ends on a byte, so
 * that the stream can be taken up again from nothing but the end of what went before.
 */
export interface HeaderContext {
  /** The last 32 KiB of plain text, the dictionary at first. */
  readonly window: Buffer;
  /** The zlib header has been sent or seen. */
  readonly begun: boolean;
}

export const initialHeaderContext: HeaderContext = { window: headerDictionary, begun: false };

/** Bounds of what a peer may make us keep: bytes of a block when unpacked, and headers in it. */
const largestBlock = 64 * 1024;
const mostHeaders = 200;
const windowSize = 32 * 1024;

const slide = (window: Buffer, text: Buffer): Buffer => {
  const all = Buffer.concat([window, text]);
  return all.subarray(Math.max(0, all.length - windowSize));
};

/** CMF 0x78 and FLG 0xbb (RFC 1950): deflate, 32 KiB window, a dictionary follows, check bits. */
const zlibHeader = Buffer.from([0x78, 0xbb, 0, 0, 0, 0]);
zlibHeader.writeUInt32BE(headerDictionaryId, 2);

/** Compresses a block of headers (SPDY draft 3.1, section 2.6.10). Gives the bytes and the context for the next block. */
export function deflateHeaders(context: HeaderContext, headers: Headers): readonly [Buffer, HeaderContext] {
  const text = encodeBlock(headers);
  const packed = deflateRawSync(text, { dictionary: context.window, finishFlush: constants.Z_SYNC_FLUSH, level: 1 });
  return [context.begun ? packed : Buffer.concat([zlibHeader, packed]), { window: slide(context.window, text), begun: true }];
}

/** Unpacks a block of headers. @throws SpdyError when it is no such block, or larger than the bounds allow. */
export function inflateHeaders(context: HeaderContext, bytes: Uint8Array): readonly [Headers, HeaderContext] {
  const start = context.begun ? 0 : readZlibHeader(bytes);
  let text: Buffer;
  try {
    text = inflateRawSync(bytes.subarray(start), {
      dictionary: context.window,
      finishFlush: constants.Z_SYNC_FLUSH,
      maxOutputLength: largestBlock,
    });
  } catch (error) {
    throw new SpdyError(`a header block cannot be unpacked: ${(error as Error).message}`);
  }
  return [decodeBlock(text), { window: slide(context.window, text), begun: true }];
}

/** Length of the zlib header. */
function readZlibHeader(bytes: Uint8Array): number {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < 2 || (bytes[0]! & 0x0f) !== 8 || view.readUInt16BE(0) % 31 !== 0)
    throw new SpdyError('the first header block is no zlib stream');
  if ((bytes[1]! & 0x20) === 0) return 2;
  if (bytes.length < 6 || view.readUInt32BE(2) !== headerDictionaryId) throw new SpdyError('a header block needs another dictionary');
  return 6;
}

function encodeBlock(headers: Headers): Buffer {
  const parts: Buffer[] = [uint32(headers.size)];
  for (const pair of headers) {
    for (const text of pair) {
      const bytes = Buffer.from(text, 'utf8');
      parts.push(uint32(bytes.length), bytes);
    }
  }
  return Buffer.concat(parts);
}

function decodeBlock(text: Buffer): Headers {
  let at = 0;
  const number = (): number => {
    if (at + 4 > text.length) throw new SpdyError('a header block ends early');
    at += 4;
    return text.readUInt32BE(at - 4);
  };
  const string = (): string => {
    const length = number();
    if (length > text.length - at) throw new SpdyError('a header block ends early');
    at += length;
    return text.toString('utf8', at - length, at);
  };
  const count = number();
  if (count > mostHeaders) throw new SpdyError(`a header block has ${count} headers, of which at most ${mostHeaders} are read`);
  const headers = new Map<string, string>();
  for (let index = 0; index < count; index++) {
    const name = string();
    if (name === '' || name !== name.toLowerCase()) throw new SpdyError(`${JSON.stringify(name)} is no header name`);
    if (headers.has(name)) throw new SpdyError(`the header ${name} is there twice`);
    headers.set(name, string());
  }
  if (at !== text.length) throw new SpdyError('a header block has something after its end');
  return headers;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
