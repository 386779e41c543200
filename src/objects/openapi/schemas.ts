// Component schemas, generated from the tables. One form serves OpenAPI v3 (as JSON) and v2 (as gnostic protobuf): only the place
// that references point to differs.
import { type FieldSchema, findMessage, type MessageSchema, messageSchema } from '../schema/table.ts';
import { type SpecialForm, specialForm } from '../schema/wire-forms.ts';
import { optionalFields } from './optional-fields.ts';

export interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** The part of OpenAPI's Schema Object that is used. Extensions are the `x-` members. */
export interface OpenApiSchema {
  $ref?: string;
  type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  format?: string;
  description?: string;
  properties?: Record<string, OpenApiSchema>;
  required?: string[];
  items?: OpenApiSchema;
  additionalProperties?: OpenApiSchema;
  'x-kubernetes-patch-merge-key'?: string;
  'x-kubernetes-patch-strategy'?: string;
  'x-kubernetes-list-type'?: string;
  'x-kubernetes-list-map-keys'?: string[];
  'x-kubernetes-map-type'?: string;
  'x-kubernetes-group-version-kind'?: GroupVersionKind[];
}

/** `k8s.io.api.core.v1.Pod` as OpenAPI names it: `io.k8s.api.core.v1.Pod`. */
export const componentName = (message: string): string => message.replace(/^k8s\.io\./, 'io.k8s.');

const special: Readonly<Record<SpecialForm, OpenApiSchema>> = {
  time: { type: 'string', format: 'date-time' },
  microTime: { type: 'string', format: 'date-time' },
  quantity: { type: 'string', description: 'An amount such as 100m, 1.5 or 64Mi.' },
  intOrString: { type: 'string', format: 'int-or-string' },
  json: { type: 'object' },
  stringList: { type: 'array', items: { type: 'string' } },
};

const scalars: Readonly<Record<NonNullable<FieldSchema['scalar']>, OpenApiSchema>> = {
  string: { type: 'string' },
  bytes: { type: 'string', format: 'byte' },
  bool: { type: 'boolean' },
  int32: { type: 'integer', format: 'int32' },
  int64: { type: 'integer', format: 'int64' },
  double: { type: 'number', format: 'double' },
};

/**
 * The schemas of the messages and of all that they refer to, by component name, in order of names. `refPrefix` is where references point, e.g.
 * `#/components/schemas/`; `kindsOf` gives the kinds that a message is the schema of.
 */
export function componentSchemas(
  messages: Iterable<string>,
  refPrefix: string,
  kindsOf: (message: string) => readonly GroupVersionKind[],
): Record<string, OpenApiSchema> {
  const wanted = new Set<string>();
  const want = (name: string): void => {
    if (wanted.has(name)) return;
    wanted.add(name);
    if (specialForm(name)) return;
    for (const field of messageSchema(name).byName.values()) if (field.message) want(field.message);
  };
  for (const message of messages) if (findMessage(message)) want(message);
  const result: Record<string, OpenApiSchema> = {};
  for (const name of [...wanted].toSorted()) {
    const form = specialForm(name);
    const schema = form ? { ...special[form] } : objectSchema(messageSchema(name), refPrefix);
    const gvk = kindsOf(name);
    if (gvk.length > 0) schema['x-kubernetes-group-version-kind'] = [...gvk];
    result[componentName(name)] = schema;
  }
  return result;
}

function objectSchema(message: MessageSchema, refPrefix: string): OpenApiSchema {
  const properties: Record<string, OpenApiSchema> = {};
  if (message.typed) {
    properties['apiVersion'] = { type: 'string', description: 'Group and version of the kind.' };
    properties['kind'] = { type: 'string', description: 'The kind, in CamelCase.' };
  }
  const required: string[] = [];
  for (const [name, field] of message.byName) {
    properties[name] = fieldSchema(field, refPrefix);
    if (field.always && !optionalFields.has(`${message.name}.${name}`)) required.push(name);
  }
  return {
    type: 'object',
    ...(Object.keys(properties).length > 0 && { properties }),
    ...(required.length > 0 && { required }),
    ...(message.atomic && atomicMap),
  };
}

function fieldSchema(field: FieldSchema, refPrefix: string): OpenApiSchema {
  const value: OpenApiSchema = field.scalar ? { ...scalars[field.scalar] } : { $ref: `${refPrefix}${componentName(field.message)}` };
  if (field.shape === 'map') return { type: 'object', additionalProperties: value, ...(field.atomicMap && atomicMap) };
  if (field.shape === 'list') return { type: 'array', items: value, ...listExtensions(field) };
  return field.retainKeys ? { ...value, 'x-kubernetes-patch-strategy': 'retainKeys' } : value;
}

const atomicMap: OpenApiSchema = { 'x-kubernetes-map-type': 'atomic' };

/** Strategic merge patch and server-side apply say each by itself how a list merges. */
function listExtensions({ mergeKey, retainKeys, listType }: FieldSchema): OpenApiSchema {
  const { type, keys } = listType!;
  return {
    'x-kubernetes-list-type': type,
    ...(type === 'map' && { 'x-kubernetes-list-map-keys': [...keys] }),
    ...(mergeKey && { 'x-kubernetes-patch-merge-key': mergeKey }),
    ...(mergeKey !== undefined && { 'x-kubernetes-patch-strategy': retainKeys ? 'merge,retainKeys' : 'merge' }),
  };
}
