// Checks an object against the schema tables: names and types of fields, and Go's zero values.
import { type FieldSchema, type MessageSchema, messageSchema } from './schema/table.ts';
import { canonicalQuantity } from './quantity.ts';
import { type SpecialForm, formatTime, parseTime, specialForm } from './schema/wire-forms.ts';

export interface FieldProblems {
  /** Paths of fields that the schema lacks, e.g. `spec.template.spec.containers[0].imag`. */
  readonly unknown: string[];
  /** What has another type than the schema says, in Go's words: `json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32`. */
  readonly wrongType: string[];
}

/** More problems than these are not reported: the answer is bounded. */
const maxProblems = 100;
const maxDepth = 64;

/** Where a check is. The texts are made only when something is wrong there: every write comes by here. */
interface Place {
  readonly up: Place | undefined;
  /** Innermost Go struct, as the schema names it. */
  readonly schema: string;
  /** A field, or an item or entry of the field above. */
  readonly step: { readonly name: string } | { readonly index: number } | { readonly key: string };
}

/** With indexes and keys, for people: `spec.ports[0].name`. */
function pathOf({ up, step }: Place): string {
  const before = up ? pathOf(up) : '';
  if ('index' in step) return `${before}[${step.index}]`;
  const name = 'name' in step ? step.name : step.key;
  return before ? `${before}.${name}` : name;
}

/** JSON names alone, as Go's messages have it: `spec.ports.name`. */
function namesOf({ up, step }: Place): string {
  const before = up ? namesOf(up) : '';
  if (!('name' in step)) return before;
  return before ? `${before}.${step.name}` : step.name;
}

/**
 * Names the fields of `object` that `schema` (a message name) lacks and the values of the wrong type. `null` always passes: it is
 * Go's zero value.
 *
 * @throws RangeError when there is no such schema.
 */
export function checkFields(schema: string, object: unknown): FieldProblems {
  const problems: FieldProblems = { unknown: [], wrongType: [] };
  checkMessage(messageSchema(schema), object, undefined, problems, 0);
  return problems;
}

function checkMessage(schema: MessageSchema, value: unknown, place: Place | undefined, problems: FieldProblems, depth: number): void {
  if (!isObject(value)) return report(problems, place, goMessage(schema.name), value);
  if (depth > maxDepth) {
    problems.wrongType.push(`json: ${place ? namesOf(place) : ''} is nested too deeply`);
    return;
  }
  for (const [name, inner] of Object.entries(value)) {
    const at: Place = { up: place, schema: schema.name, step: { name } };
    const field = schema.byName.get(name);
    if (field) checkField(field, inner, at, problems, depth);
    else if (schema.typed && (name === 'apiVersion' || name === 'kind')) {
      if (typeof inner !== 'string') report(problems, at, 'string', inner);
    } else if (problems.unknown.length < maxProblems) problems.unknown.push(pathOf(at));
  }
}

function checkField(field: FieldSchema, value: unknown, place: Place, problems: FieldProblems, depth: number): void {
  if (value === null) return;
  if (field.shape === 'list') {
    if (!Array.isArray(value)) return report(problems, place, `[]${goType(field)}`, value);
    for (const [index, item] of value.entries()) {
      const at: Place = { up: place, schema: place.schema, step: { index } };
      // A null item is a zero value as well, but of no use to anybody: rules may rely on items being there.
      if (item === null) report(problems, at, goType(field), item);
      else checkValue(field, item, at, problems, depth);
    }
  } else if (field.shape === 'map') {
    if (!isObject(value)) return report(problems, place, `map[string]${goType(field)}`, value);
    for (const [key, item] of Object.entries(value)) {
      if (item !== null) checkValue(field, item, { up: place, schema: place.schema, step: { key } }, problems, depth);
    }
  } else checkValue(field, value, place, problems, depth);
}

function checkValue(field: FieldSchema, value: unknown, place: Place, problems: FieldProblems, depth: number): void {
  const form = field.scalar ? undefined : specialForm(field.message);
  if (!field.scalar && !form) return checkMessage(messageSchema(field.message), value, place, problems, depth + 1);
  const wellTyped = field.scalar ? scalarTests[field.scalar](value) : formTests[form!](value);
  if (!wellTyped) report(problems, place, goType(field), value, field.scalar ?? form);
}

/** As Go's decoder says it (encoding/json's UnmarshalTypeError, and the texts of types that read themselves). */
function report(
  problems: FieldProblems,
  place: Place | undefined,
  type: string,
  value: unknown,
  form?: FieldSchema['scalar'] | SpecialForm,
): void {
  if (problems.wrongType.length < maxProblems) problems.wrongType.push(typeProblem(place, type, value, form));
}

function typeProblem(
  place: Place | undefined,
  type: string,
  value: unknown,
  form: FieldSchema['scalar'] | SpecialForm | undefined,
): string {
  if (form === 'quantity') {
    return "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
  }
  if (typeof value === 'string' && (form === 'time' || form === 'microTime')) {
    const layout = form === 'time' ? '2006-01-02T15:04:05Z07:00' : '2006-01-02T15:04:05.000000Z07:00';
    return `parsing time ${JSON.stringify(value.slice(0, 64))} as ${JSON.stringify(layout)}: cannot parse ${JSON.stringify(value.slice(0, 64))} as "2006"`;
  }
  if (typeof value === 'string' && form === 'bytes') {
    const at = /^[A-Za-z0-9+/]*/.exec(value)![0].length;
    return `illegal base64 data at input byte ${at - (at === value.length ? at % 4 : 0)}`;
  }
  const what = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;
  const shown = what === 'number' && /^(?:int|double)/.test(type) ? `number ${String(value)}` : what;
  // What reads itself no longer knows where it stands.
  if (form === 'intOrString') return `json: cannot unmarshal ${shown} into Go value of type int32`;
  return `json: cannot unmarshal ${shown} into Go ${place ? `struct field ${shortName(place.schema)}.${namesOf(place)}` : 'value'} of type ${type}`;
}

const shortName = (message: string): string => message.slice(message.lastIndexOf('.') + 1);

/** `k8s.io.api.core.v1.PodSpec` as Go's messages name the type: `v1.PodSpec`. */
const goMessage = (message: string): string => message.split('.').slice(-2).join('.');

function goType({ scalar, message }: FieldSchema): string {
  if (scalar) return scalar === 'bytes' ? '[]uint8' : scalar === 'double' ? 'float64' : scalar;
  switch (specialForm(message)) {
    case 'intOrString':
      return 'int32';
    case 'stringList':
      return '[]string';
    case 'time':
    case 'microTime':
      return 'string';
    default:
      return goMessage(message);
  }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
const isString = (value: unknown): value is string => typeof value === 'string';

const scalarTests: Readonly<Record<NonNullable<FieldSchema['scalar']>, (value: unknown) => boolean>> = {
  string: isString,
  bytes: (value) => isString(value) && /^[A-Za-z0-9+/\r\n]*={0,2}[\r\n]*$/.test(value),
  bool: (value) => typeof value === 'boolean',
  int32: (value) => Number.isInteger(value) && Math.abs(value as number) <= 0x7fff_ffff,
  int64: (value) => Number.isInteger(value),
  double: (value) => typeof value === 'number',
};

const formTests: Readonly<Record<SpecialForm, (value: unknown) => boolean>> = {
  time: (value) => isString(value) && (value === '' || parseTime(value) !== undefined),
  microTime: (value) => isString(value) && (value === '' || parseTime(value) !== undefined),
  quantity: (value) => (typeof value === 'number' || isString(value)) && canonicalQuantity(value) !== undefined,
  intOrString: (value) => isString(value) || scalarTests.int32(value),
  json: () => true,
  stringList: (value) => Array.isArray(value) && value.every(isString),
};

/**
 * Brings an object to the form that Go's decoder and encoder would give it, in place: fields that the schema lacks, nulls, and zero
 * values (`""`, `0`, `false`, empty lists and maps) of fields that are no pointers and would be omitted are removed. Run it on every object
 * that comes in as JSON or YAML, also after a patch; values of the wrong type stay (see {@link checkFields}).
 */
export function pruneUnknown(schema: string, object: unknown): void {
  pruneMessage(messageSchema(schema), object, 0);
}

function pruneMessage(schema: MessageSchema, value: unknown, depth: number): void {
  if (!isObject(value) || depth > maxDepth) return;
  for (const [name, inner] of Object.entries(value)) {
    const field = schema.byName.get(name);
    if (!field) {
      if (!schema.typed || (name !== 'apiVersion' && name !== 'kind')) delete value[name];
    } else if (inner === null || isOmitted(field, inner)) delete value[name];
    else if (field.message && specialForm(field.message)) value[name] = normalForm(field, inner);
    else if (field.message) {
      const items = field.shape === 'single' ? [inner] : isObject(inner) || Array.isArray(inner) ? Object.values(inner) : [];
      for (const item of items) pruneMessage(messageSchema(field.message), item, depth + 1);
    }
  }
}

/** Times in UTC and quantities in Go's normal form; other values as they are. */
function normalForm(field: FieldSchema, value: unknown): unknown {
  const form = specialForm(field.message);
  if (form !== 'time' && form !== 'microTime' && form !== 'quantity') return value;
  if (field.shape === 'list' && Array.isArray(value)) return value.map((item) => normalForm({ ...field, shape: 'single' }, item));
  if (field.shape === 'map' && isObject(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, normalForm({ ...field, shape: 'single' }, item ?? 0)]));
  }
  if (form === 'quantity') return canonicalQuantity(value as string | number) ?? value;
  const time = typeof value === 'string' ? parseTime(value) : undefined;
  return time ? formatTime(time.seconds, time.nanos, form === 'microTime') : value;
}

function isOmitted(field: FieldSchema, value: unknown): boolean {
  if (field.always || field.pointer) return false;
  if (field.shape === 'list') return Array.isArray(value) && value.length === 0;
  if (field.shape === 'map') return isObject(value) && Object.keys(value).length === 0;
  if (field.scalar) return value === '' || value === 0 || value === false;
  const form = specialForm(field.message);
  return form !== undefined && form !== 'json' && (value === '' || value === 0);
}

/** The reference's text for `fieldValidation=Strict` (and, one by one, its warnings): `strict decoding error: unknown field "spec.replica"`. */
export function strictDecodingMessage(unknown: readonly string[], duplicates: readonly string[] = []): string {
  return `strict decoding error: ${fieldWarnings(unknown, duplicates).join(', ')}`;
}

/** One text per problem, for Warning headers: `unknown field "spec.replica"`, `duplicate field "metadata.name"`. */
export const fieldWarnings = (unknown: readonly string[], duplicates: readonly string[] = []): string[] => [
  ...unknown.map((path) => `unknown field ${JSON.stringify(path)}`),
  ...duplicates.map((path) => `duplicate field ${JSON.stringify(path)}`),
];
