// Random objects that fit a schema: what a property test feeds to codecs and checks.
import fc from 'fast-check';
import { type FieldSchema, messageSchema } from '../../src/objects/schema/table.ts';
import { specialForm } from '../../src/objects/schema/wire-forms.ts';

const text = fc.string({ minLength: 1, maxLength: 8 });

const scalars = {
  string: text,
  bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('base64')),
  bool: fc.constant(true),
  int32: fc.integer({ min: -0x7fff_ffff, max: 0x7fff_ffff }).filter((value) => value !== 0),
  int64: fc.maxSafeInteger().filter((value) => value !== 0),
  double: fc.double({ noNaN: true, min: 0.5, max: 1e6 }),
};

const forms = {
  time: fc.integer({ min: 1, max: 4e9 }).map((seconds) => `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`),
  microTime: fc.integer({ min: 1, max: 4e9 }).map((seconds) => `${new Date(seconds * 1000).toISOString().slice(0, 19)}.000123Z`),
  quantity: fc.constantFrom('1', '100m', '64Mi', '1500m'),
  intOrString: fc.oneof(fc.integer({ min: 1, max: 65_535 }), text),
  // As it comes out of JSON text, which knows no negative zero.
  json: fc
    .jsonValue()
    .map((value) => JSON.parse(JSON.stringify(value)) as unknown)
    .filter((value) => value !== null),
  stringList: fc.array(text, { minLength: 1, maxLength: 2 }),
};

const isLeaf = (field: FieldSchema): boolean => field.scalar !== undefined || specialForm(field.message) !== undefined;
const leaves = (schema: string): FieldSchema[] => [...messageSchema(schema).byName.values()].filter(isLeaf);

/** Objects with some of the fields of a message, none of them zero and no message empty; apiVersion and kind are not set. */
export function objectOf(schema: string, depth = 0): fc.Arbitrary<Record<string, unknown>> {
  const fields = [...messageSchema(schema).byName.values()].filter(
    (field) => isLeaf(field) || (depth < 3 && leaves(field.message).length > 0),
  );
  return fc
    .subarray(fields, { minLength: 1, maxLength: Math.min(4, fields.length) })
    .chain((chosen) =>
      fc.record(Object.fromEntries(chosen.map((field) => [field.name, valueOf(field, depth)])), { noNullPrototype: true }),
    );
}

function valueOf(field: FieldSchema, depth: number): fc.Arbitrary<unknown> {
  const form = field.message ? specialForm(field.message) : undefined;
  const single: fc.Arbitrary<unknown> = field.scalar ? scalars[field.scalar] : form ? forms[form] : objectOf(field.message, depth + 1);
  if (field.shape === 'list') return fc.array(single, { minLength: 1, maxLength: 3 });
  if (field.shape === 'map') return fc.dictionary(text, single, { minKeys: 1, maxKeys: 3, noNullPrototype: true });
  return single;
}
