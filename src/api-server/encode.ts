import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { type AnyObject, encodeKubernetesProtobuf } from '../objects/index.ts';
import { type Encoding, parseAccept, protobufType } from './negotiate.ts';

export interface EncodedAnswer {
  readonly contentType: string;
  readonly body: string | Uint8Array;
}

/** An object that is JSON text, in the encoding that was negotiated. */
export async function encodeAnswer(encoding: Encoding, json: string): Promise<EncodedAnswer> {
  switch (encoding) {
    case 'json':
      return { contentType: 'application/json', body: json };
    case 'protobuf':
      return { contentType: protobufType, body: encodeKubernetesProtobuf(JSON.parse(json) as AnyObject) };
    case 'yaml': {
      // Loaded when first needed: programs read JSON.
      const { stringify } = await import('./yaml.ts');
      const text = stringify(JSON.parse(json), { sortMapEntries: true, indentSeq: false, lineWidth: 0, version: '1.1' });
      return { contentType: 'application/yaml', body: text };
    }
  }
}

/** One event of a watch, as it goes over the wire: a line of JSON, or a frame of protobuf. `object` is JSON text. */
export function encodeWatchEvent(encoding: Encoding, type: string, object: string): string | Buffer {
  return encoding === 'protobuf' ? protobufFrame(type, object) : `{"type":"${type}","object":${object}}\n`;
}

/** Four bytes of length, then meta/v1 WatchEvent: the type is field 1; field 2 is a RawExtension whose only field is the encoded object. */
function protobufFrame(type: string, object: string): Buffer {
  const raw = encodeKubernetesProtobuf(JSON.parse(object) as AnyObject);
  const name = Buffer.from(type);
  const rawHead = Buffer.from([0x0a, ...varint(raw.length)]);
  const head = Buffer.from([0x0a, ...varint(name.length), ...name, 0x12, ...varint(rawHead.length + raw.length)]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(head.length + rawHead.length + raw.length);
  return Buffer.concat([length, head, rawHead, raw]);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value > 0x7f; value >>>= 7) bytes.push((value & 0x7f) | 0x80);
  return [...bytes, value];
}

/** Smaller answers gain nothing by it (the reference's defaultGzipThresholdBytes). */
const compressFrom = 128 * 1024;
const compressed = promisify(gzip);

/** The body compressed, when it is large and the client takes it so; undefined when it goes as it is. */
export async function compress(acceptEncoding: string | undefined, body: string | Uint8Array): Promise<Buffer | undefined> {
  if (!acceptEncoding || Buffer.byteLength(body) <= compressFrom) return undefined;
  return parseAccept(acceptEncoding).some(({ type }) => type === 'gzip' || type === '*') ? compressed(body, { level: 1 }) : undefined;
}
