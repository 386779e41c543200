import { Reader } from 'protobufjs/minimal.js';
import type { AnyObject } from './kind.ts';
import { type FieldSchema, type MessageSchema, messageOfKind, messageSchema, unknown as unknownMessage } from './schema/table.ts';
import { formatTime, specialForm } from './schema/wire-forms.ts';

/** Why bytes were refused: `magic` no `k8s\0` prefix, `kind` a kind that is not known, `malformed` broken or hostile bytes. */
export type KubernetesProtobufReason = 'magic' | 'kind' | 'malformed';

/** Bytes that are not a Kubernetes object in protobuf, or an object that cannot be written as one. */
export class KubernetesProtobufError extends Error {
  override readonly name = 'KubernetesProtobufError';
  readonly reason: KubernetesProtobufReason;

  constructor(reason: KubernetesProtobufReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** The four bytes before every runtime.Unknown: `k8s\0`. */
export const protobufMagic = Uint8Array.of(0x6b, 0x38, 0x73, 0x00);

/** Deeper nesting than any Kubernetes type has; JSON schema props, the one recursive type, are not served. */
const maxDepth = 64;

/**
 * Reads `application/vnd.kubernetes.protobuf`: the magic, then runtime.Unknown with apiVersion, kind and the object.
 * Go always sends zero values of fields that are not pointers; those that its JSON would omit are left out of the result,
 * and so are empty embedded structs and zero times, so that the object is what the same client would have sent as JSON.
 *
 * @throws KubernetesProtobufError
 */
export function decodeKubernetesProtobuf(bytes: Uint8Array): AnyObject {
  if (bytes.length < 4 || protobufMagic.some((byte, index) => bytes[index] !== byte)) {
    throw new KubernetesProtobufError('magic', 'the body does not begin with the Kubernetes protobuf prefix "k8s\\0"');
  }
  const { apiVersion, kind, raw } = decodeUnknown(bytes.subarray(4));
  const schema = messageOfKind(apiVersion, kind);
  if (schema === undefined) {
    throw new KubernetesProtobufError('kind', `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)}`);
  }
  const object: Record<string, unknown> = { apiVersion, kind };
  guard(kind, () => decodeInto(object, Reader.create(raw), raw.length, messageSchema(schema), 0));
  object['metadata'] ??= {};
  return object as AnyObject;
}

function decodeUnknown(bytes: Uint8Array): { apiVersion: string; kind: string; raw: Uint8Array } {
  return guard('runtime.Unknown', () => {
    const envelope: Record<string, unknown> = {};
    let raw: Uint8Array = new Uint8Array();
    const reader = Reader.create(bytes);
    while (reader.pos < reader.len) {
      const tag = reader.tag();
      // raw is by far the largest: it stays bytes.
      if (tag === ((2 << 3) | 2)) raw = reader.bytes();
      else decodeField(envelope, reader, tag, messageSchema(unknownMessage), 0);
    }
    if (envelope['contentEncoding'] !== undefined) throw new RangeError('an encoded body is not supported');
    const meta = (envelope['typeMeta'] ?? {}) as { apiVersion?: string; kind?: string };
    return { apiVersion: meta.apiVersion ?? '', kind: meta.kind ?? '', raw };
  });
}

function guard<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof KubernetesProtobufError) throw error;
    throw new KubernetesProtobufError('malformed', `${what} is not valid protobuf: ${(error as Error).message}`, { cause: error });
  }
}

function decodeInto(target: Record<string, unknown>, reader: Reader, end: number, schema: MessageSchema, depth: number): void {
  if (depth > maxDepth) throw new RangeError('it is nested too deeply');
  if (end > reader.len) throw new RangeError('a length goes past the end');
  while (reader.pos < end) decodeField(target, reader, reader.tag(), schema, depth);
  if (reader.pos !== end) throw new RangeError(`a field of ${schema.name} goes past its end`);
}

function decodeField(target: Record<string, unknown>, reader: Reader, tag: number, schema: MessageSchema, depth: number): void {
  const wireType = tag & 7;
  const field = schema.byNumber.get(tag >>> 3);
  if (!field) {
    if (wireType === 3 || wireType === 4) throw new RangeError('groups are not used');
    reader.skipType(wireType);
    return;
  }
  if (wireType !== wireTypeOf(field)) throw new RangeError(`field ${schema.name}.${field.name} has wire type ${wireType}`);
  if (field.inline) {
    const length = reader.uint32();
    decodeInto(target, reader, reader.pos + length, messageSchema(field.message), depth + 1);
  } else if (field.shape === 'list') {
    const list = (target[field.name] ??= []) as unknown[];
    list.push(decodeValue(reader, field, undefined, depth));
  } else if (field.shape === 'map') {
    decodeMapEntry((target[field.name] ??= {}) as Record<string, unknown>, reader, field, depth);
  } else {
    const value = decodeValue(reader, field, target[field.name], depth);
    // JSON within is a value whatever it holds.
    const isValue = field.pointer || field.always || specialForm(field.message) === 'json' || !isZero(value);
    if (value !== undefined && isValue) target[field.name] = value;
  }
}

const wireTypeOf = (field: FieldSchema): number => {
  if (field.shape === 'map') return 2;
  if (field.scalar === 'double') return 1;
  return field.scalar === 'int32' || field.scalar === 'int64' || field.scalar === 'bool' ? 0 : 2;
};

function isZero(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) {
    for (const _ in value) return false;
    return true;
  }
  return value === '' || value === 0 || value === false;
}

function decodeValue(reader: Reader, field: FieldSchema, previous: unknown, depth: number): unknown {
  switch (field.scalar) {
    case 'string':
      return reader.string();
    case 'bytes':
      return Buffer.from(reader.bytes()).toString('base64');
    case 'bool':
      return reader.bool();
    case 'int32':
      return reader.int32();
    case 'int64':
      return Number(reader.int64());
    case 'double':
      return reader.double();
    default:
      return decodeMessage(reader, field.message, previous, depth);
  }
}

function decodeMessage(reader: Reader, name: string, previous: unknown, depth: number): unknown {
  const length = reader.uint32();
  const form = specialForm(name);
  // A message that comes twice is merged, except where its JSON is no object.
  const fields = form === undefined && typeof previous === 'object' && previous !== null ? (previous as Record<string, unknown>) : {};
  decodeInto(fields, reader, reader.pos + length, messageSchema(name), depth + 1);
  switch (form) {
    case 'time':
    case 'microTime': {
      const { seconds = 0, nanos = 0 } = fields as { seconds?: number; nanos?: number };
      // Go's zero time is an empty message, and null or nothing in JSON.
      return seconds === 0 && nanos === 0 ? undefined : formatTime(seconds, nanos, form === 'microTime');
    }
    case 'quantity':
      return fields['string'] ?? '0';
    case 'intOrString':
      return fields['type'] === 1 ? (fields['strVal'] ?? '') : (fields['intVal'] ?? 0);
    case 'json':
      return parseRaw(fields['-']);
    case 'stringList':
      return fields['items'] ?? [];
    default:
      return fields;
  }
}

function parseRaw(base64: unknown): unknown {
  return typeof base64 === 'string' && base64 !== '' ? JSON.parse(Buffer.from(base64, 'base64').toString('utf8')) : undefined;
}

function decodeMapEntry(map: Record<string, unknown>, reader: Reader, field: FieldSchema, depth: number): void {
  const length = reader.uint32();
  const end = reader.pos + length;
  if (end > reader.len) throw new RangeError('a length goes past the end');
  let key = '';
  let value: unknown = field.scalar === 'string' || field.scalar === 'bytes' ? '' : undefined;
  const entry: FieldSchema = { ...field, shape: 'single' };
  while (reader.pos < end) {
    const tag = reader.tag();
    if (tag === ((1 << 3) | 2)) key = reader.string();
    else if (tag === ((2 << 3) | wireTypeOf(entry))) value = decodeValue(reader, entry, undefined, depth + 1);
    else reader.skipType(tag & 7);
  }
  if (reader.pos !== end) throw new RangeError(`an entry of ${field.name} goes past its end`);
  // A plain assignment to `__proto__` would set the prototype.
  Object.defineProperty(map, key, { value, enumerable: true, writable: true, configurable: true });
}
