import { Writer } from 'protobufjs/minimal.js';
import type { AnyObject } from './kind.ts';
import { KubernetesProtobufError, protobufMagic } from './protobuf-decode.ts';
import { type FieldSchema, type MessageSchema, messageOfKind, messageSchema } from './schema/table.ts';
import { parseTime, specialForm } from './schema/wire-forms.ts';

type Fields = Readonly<Record<string, unknown>>;

/**
 * Writes an object (or a list such as PodList) as `application/vnd.kubernetes.protobuf`. Fields that the schema lacks are left out.
 *
 * @throws KubernetesProtobufError for a kind that is not in the schema or a value of the wrong type.
 */
export function encodeKubernetesProtobuf(object: AnyObject): Uint8Array {
  const schema = messageOfKind(object.apiVersion, object.kind);
  if (schema === undefined) {
    throw new KubernetesProtobufError(
      'kind',
      `no kind ${JSON.stringify(object.kind)} is registered for version ${JSON.stringify(object.apiVersion)}`,
    );
  }
  const writer = Writer.create();
  writer.uint32(0x0a).fork().uint32(0x0a).string(object.apiVersion).uint32(0x12).string(object.kind).ldelim();
  writer.uint32(0x12).fork();
  try {
    writeFields(writer, messageSchema(schema), object);
  } catch (error) {
    throw new KubernetesProtobufError('malformed', `${object.kind}: ${(error as Error).message}`, { cause: error });
  }
  writer.ldelim().uint32(0x1a).string('').uint32(0x22).string('');
  const body = writer.finish();
  const result = new Uint8Array(protobufMagic.length + body.length);
  result.set(protobufMagic);
  result.set(body, protobufMagic.length);
  return result;
}

function writeFields(writer: Writer, schema: MessageSchema, fields: Fields): void {
  for (const field of schema.fields) {
    if (field.inline) {
      writer.uint32((field.number << 3) | 2).fork();
      writeFields(writer, messageSchema(field.message), fields);
      writer.ldelim();
      continue;
    }
    const value = Object.hasOwn(fields, field.name) ? fields[field.name] : undefined;
    if (value === undefined || value === null) continue;
    if (field.shape === 'list') for (const item of expectArray(value, field)) writeValue(writer, field, field.number, item);
    else if (field.shape === 'map') writeMap(writer, field, expectObject(value, field));
    else writeValue(writer, field, field.number, value);
  }
}

function writeMap(writer: Writer, field: FieldSchema, map: Fields): void {
  // Sorted as Go does, so that equal objects have equal bytes.
  for (const key of Object.keys(map).toSorted()) {
    writer
      .uint32((field.number << 3) | 2)
      .fork()
      .uint32(0x0a)
      .string(key);
    writeValue(writer, field, 2, map[key]);
    writer.ldelim();
  }
}

function writeValue(writer: Writer, field: FieldSchema, number: number, value: unknown): void {
  switch (field.scalar) {
    case 'string':
      writer.uint32((number << 3) | 2).string(expect(value, 'string', field));
      return;
    case 'bytes':
      writer.uint32((number << 3) | 2).bytes(Buffer.from(expect(value, 'string', field), 'base64'));
      return;
    case 'bool':
      writer.uint32(number << 3).bool(expect(value, 'boolean', field));
      return;
    case 'int32':
      writer.uint32(number << 3).int32(expect(value, 'number', field));
      return;
    case 'int64':
      writer.uint32(number << 3).int64(expect(value, 'number', field));
      return;
    case 'double':
      writer.uint32((number << 3) | 1).double(expect(value, 'number', field));
      return;
    default:
      writer.uint32((number << 3) | 2).fork();
      writeMessage(writer, field, value);
      writer.ldelim();
  }
}

function writeMessage(writer: Writer, field: FieldSchema, value: unknown): void {
  switch (specialForm(field.message)) {
    case 'time':
    case 'microTime': {
      const time = parseTime(expect(value, 'string', field));
      if (!time) throw new TypeError(`field ${field.name} is no RFC 3339 time`);
      writer
        .uint32(0x08)
        .int64(time.seconds)
        .uint32(0x10)
        .int32(specialForm(field.message) === 'time' ? 0 : time.nanos);
      return;
    }
    case 'quantity':
      writer.uint32(0x0a).string(String(value));
      return;
    case 'intOrString':
      if (typeof value === 'string') writer.uint32(0x08).int64(1).uint32(0x10).int32(0).uint32(0x1a).string(value);
      else
        writer
          .uint32(0x08)
          .int64(0)
          .uint32(0x10)
          .int32(expect(value, 'number', field))
          .uint32(0x1a)
          .string('');
      return;
    case 'json':
      writer.uint32(0x0a).bytes(Buffer.from(JSON.stringify(value)));
      return;
    case 'stringList':
      for (const item of expectArray(value, field)) writer.uint32(0x0a).string(expect(item, 'string', field));
      return;
    default:
      writeFields(writer, messageSchema(field.message), expectObject(value, field));
  }
}

interface Primitives {
  string: string;
  number: number;
  boolean: boolean;
}

function expect<T extends keyof Primitives>(value: unknown, type: T, field: FieldSchema): Primitives[T] {
  if (typeof value !== type) throw new TypeError(`field ${field.name} must be a ${type}`);
  return value as Primitives[T];
}

function expectArray(value: unknown, field: FieldSchema): readonly unknown[] {
  if (!Array.isArray(value)) throw new TypeError(`field ${field.name} must be a list`);
  return value;
}

function expectObject(value: unknown, field: FieldSchema): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError(`field ${field.name} must be an object`);
  return value as Fields;
}
