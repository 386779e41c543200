// Checks an object against the schema tables: names and types of fields, and Go's zero values.
import { type FieldSchema, type MessageSchema, messageSchema } from './schema/table.ts';
import { type SpecialForm, parseTime, specialForm } from './schema/wire-forms.ts';

export interface FieldProblems {
  /** Paths of fields that the schema lacks, e.g. `spec.template.spec.containers[0].imag`. */
  readonly unknown: string[];
  /** What has another type than the schema says, e.g. `spec.replicas: expected int32, got string`. */
  readonly wrongType: string[];
}

/** More problems than these are not reported: the answer is bounded. */
const maxProblems = 100;
const maxDepth = 64;

/**
 * Names the fields of `object` that `schema` (a message name) lacks and the values of the wrong type. `null` always passes: it is
 * Go's zero value.
 *
 * @throws RangeError when there is no such schema.
 */
export function checkFields(schema: string, object: unknown): FieldProblems {
  const problems: FieldProblems = { unknown: [], wrongType: [] };
  checkMessage(messageSchema(schema), object, '', problems, 0);
  return problems;
}

function checkMessage(schema: MessageSchema, value: unknown, path: string, problems: FieldProblems, depth: number): void {
  if (!isObject(value)) return report(problems, path, 'object', value);
  if (depth > maxDepth) return report(problems, path, 'less nesting', value);
  for (const [name, inner] of Object.entries(value)) {
    const at = path ? `${path}.${name}` : name;
    const field = schema.byName.get(name);
    if (field) checkField(field, inner, at, problems, depth);
    else if (schema.typed && (name === 'apiVersion' || name === 'kind')) {
      if (typeof inner !== 'string') report(problems, at, 'string', inner);
    } else if (problems.unknown.length < maxProblems) problems.unknown.push(at);
  }
}

function checkField(field: FieldSchema, value: unknown, path: string, problems: FieldProblems, depth: number): void {
  if (value === null) return;
  if (field.shape === 'list') {
    if (!Array.isArray(value)) return report(problems, path, 'list', value);
    for (const [index, item] of value.entries()) {
      // A null item is a zero value as well, but of no use to anybody: rules may rely on items being there.
      if (item === null) report(problems, `${path}[${index}]`, field.scalar ?? 'object', item);
      else checkValue(field, item, `${path}[${index}]`, problems, depth);
    }
  } else if (field.shape === 'map') {
    if (!isObject(value)) return report(problems, path, 'object', value);
    for (const [key, item] of Object.entries(value)) if (item !== null) checkValue(field, item, `${path}.${key}`, problems, depth);
  } else checkValue(field, value, path, problems, depth);
}

function checkValue(field: FieldSchema, value: unknown, path: string, problems: FieldProblems, depth: number): void {
  if (field.scalar) {
    if (!scalarTests[field.scalar](value)) report(problems, path, field.scalar, value);
    return;
  }
  const form = specialForm(field.message);
  if (form) {
    if (!formTests[form](value)) report(problems, path, formNames[form], value);
  } else checkMessage(messageSchema(field.message), value, path, problems, depth + 1);
}

function report(problems: FieldProblems, path: string, expected: string, value: unknown): void {
  if (problems.wrongType.length >= maxProblems) return;
  const got = value === null ? 'null' : Array.isArray(value) ? 'list' : typeof value;
  problems.wrongType.push(
    `${path || 'the object'}: expected ${expected}, got ${got}${typeof value === 'string' ? ` ${JSON.stringify(value.slice(0, 64))}` : ''}`,
  );
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

const quantityPattern = /^[+-]?(\d+\.?\d*|\.\d+)(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?\d+)?$/;

const formTests: Readonly<Record<SpecialForm, (value: unknown) => boolean>> = {
  time: (value) => isString(value) && (value === '' || parseTime(value) !== undefined),
  microTime: (value) => isString(value) && (value === '' || parseTime(value) !== undefined),
  quantity: (value) => typeof value === 'number' || (isString(value) && quantityPattern.test(value)),
  intOrString: (value) => isString(value) || scalarTests.int32(value),
  json: () => true,
  stringList: (value) => Array.isArray(value) && value.every(isString),
};

const formNames: Readonly<Record<SpecialForm, string>> = {
  time: 'an RFC 3339 time',
  microTime: 'an RFC 3339 time',
  quantity: 'a quantity',
  intOrString: 'int32 or string',
  json: 'JSON',
  stringList: 'list of strings',
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
    else if (field.message && !specialForm(field.message)) {
      const items = field.shape === 'single' ? [inner] : isObject(inner) || Array.isArray(inner) ? Object.values(inner) : [];
      for (const item of items) pruneMessage(messageSchema(field.message), item, depth + 1);
    }
  }
}

function isOmitted(field: FieldSchema, value: unknown): boolean {
  if (field.always || field.pointer) return false;
  if (field.shape === 'list') return Array.isArray(value) && value.length === 0;
  if (field.shape === 'map') return isObject(value) && Object.keys(value).length === 0;
  if (field.scalar) return value === '' || value === 0 || value === false;
  return specialForm(field.message) !== undefined && (value === '' || value === 0);
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
