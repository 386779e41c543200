// What server-side apply must know of a type: which lists are sets or maps, what is owned as a whole, and which fields Go always writes.
import { type FieldSchema, type ListType, type MessageSchema, messageSchema, metaV1, zeroOf } from '../schema/table.ts';
import { type SpecialForm, specialForm } from '../schema/wire-forms.ts';

/** A value that is owned as one; `untyped` takes any scalar (quantities, times, numbers or names of ports). */
export interface ScalarStructure {
  readonly kind: 'scalar';
  readonly scalar: 'string' | 'numeric' | 'boolean' | 'untyped';
}
export interface ListStructure {
  readonly kind: 'list';
  readonly list: ListType;
  readonly item: Structure;
}
/** A map by names that are data, such as labels. */
export interface MapStructure {
  readonly kind: 'map';
  readonly atomic: boolean;
  readonly value: Structure;
}
/** A message. */
export interface StructStructure {
  readonly kind: 'struct';
  readonly atomic: boolean;
  readonly fields: ReadonlyMap<string, StructField>;
  /** The fields that Go writes even when they are zero. */
  readonly always: readonly StructField[];
}
/** JSON without a schema: objects are maps, lists are owned as a whole. */
interface AnyStructure {
  readonly kind: 'any';
}
export type Structure = ScalarStructure | ListStructure | MapStructure | StructStructure | AnyStructure;

export interface StructField {
  readonly name: string;
  /** As a path element: `f:NAME`. */
  readonly element: string;
  readonly structure: Structure;
  /** What Go writes when nobody set it: a struct that is no pointer is `{}`, a time null. Undefined when it is left out. */
  readonly zero: unknown;
  /** As the key of a list item, when left out. */
  readonly keyDefault: string | number | boolean | undefined;
}

const untyped: Structure = { kind: 'scalar', scalar: 'untyped' };
const string: Structure = { kind: 'scalar', scalar: 'string' };
const numeric: Structure = { kind: 'scalar', scalar: 'numeric' };
const anything: Structure = { kind: 'any' };

const scalars: Readonly<Record<NonNullable<FieldSchema['scalar']>, Structure>> = {
  string,
  bytes: string,
  bool: { kind: 'scalar', scalar: 'boolean' },
  int32: numeric,
  int64: numeric,
  double: numeric,
};
const forms: Readonly<Record<SpecialForm, Structure>> = {
  time: untyped,
  microTime: untyped,
  quantity: untyped,
  intOrString: untyped,
  json: anything,
  stringList: { kind: 'list', list: { type: 'atomic', keys: [] }, item: string },
};
const formZeros: Readonly<Record<SpecialForm, unknown>> = {
  time: null,
  microTime: null,
  quantity: '0',
  intOrString: 0,
  json: null,
  stringList: null,
};

const known = new Map<string, StructStructure>();
const empty: Readonly<Record<string, never>> = Object.freeze({});

/** The structure of a message by its full name. @throws RangeError when the tables do not hold it. */
export function structureOf(message: string): StructStructure {
  let structure = known.get(message);
  if (!structure) {
    structure = new MessageStructure(messageSchema(message));
    known.set(message, structure);
  }
  return structure;
}

/** Reads its fields on first use: most of what a Pod may hold never occurs. */
class MessageStructure implements StructStructure {
  readonly kind = 'struct';
  readonly atomic: boolean;
  readonly #schema: MessageSchema;
  #fields: ReadonlyMap<string, StructField> | undefined;
  #always: readonly StructField[] | undefined;

  constructor(schema: MessageSchema) {
    this.#schema = schema;
    this.atomic = schema.atomic;
  }

  get fields(): ReadonlyMap<string, StructField> {
    if (!this.#fields) {
      const { typed, byName, name: message } = this.#schema;
      // Owners own no owners.
      const names = [...byName].filter(([name]) => name !== 'managedFields' || message !== `${metaV1}.ObjectMeta`);
      const own = names.map(([name, field]): [string, StructField] => [name, structField(name, field)]);
      const type = (name: string): [string, StructField] => [
        name,
        { name, element: `f:${name}`, structure: string, zero: undefined, keyDefault: undefined },
      ];
      this.#fields = new Map(typed ? [type('apiVersion'), type('kind'), ...own] : own);
    }
    return this.#fields;
  }

  get always(): readonly StructField[] {
    this.#always ??= [...this.fields.values()].filter(({ zero }) => zero !== undefined);
    return this.#always;
  }
}

function structField(name: string, field: FieldSchema): StructField {
  return { name, element: `f:${name}`, structure: fieldStructure(field), zero: zeroOfField(field), keyDefault: field.keyDefault };
}

function fieldStructure(field: FieldSchema): Structure {
  const form = field.message ? specialForm(field.message) : undefined;
  const value = field.scalar ? scalars[field.scalar] : form ? forms[form] : structureOf(field.message);
  if (field.shape === 'list') return { kind: 'list', list: field.listType!, item: value };
  return field.shape === 'map' ? { kind: 'map', atomic: field.atomicMap, value } : value;
}

function zeroOfField({ shape, pointer, always, scalar, message }: FieldSchema): unknown {
  if (shape !== 'single' || pointer) return always ? null : undefined;
  if (scalar) return always ? zeroOf(scalar) : undefined;
  const form = specialForm(message);
  return form ? formZeros[form] : empty;
}
