// The schema of the Kubernetes API, read from the tables that scripts/extract-schema.ts writes.
//
// kubernetes.json maps package -> message -> fields joined by ';'. A leading '@' says that the message carries apiVersion
// and kind. A field is `number name type flags...`:
//   name   JSON name, or '=' for an embedded struct whose fields stand in the parent's JSON object
//   type   [] list, {} map by string, * Go pointer (so the zero value means something); then a scalar or a message, with its
//          package when that is another one
//   flags  ! always present in Go's JSON; ~KEY merged by strategic merge patch on KEY (~ alone: list of primitives, as a set);
//          ^ retainKeys; % replaced
import tables from './kubernetes.json' with { type: 'json' };
import { atomicMaps, atomicMessages, keyDefaults, listTypes } from './list-types.ts';

type ScalarType = 'string' | 'bytes' | 'bool' | 'int32' | 'int64' | 'double';

export interface FieldSchema {
  /** JSON name. */
  readonly name: string;
  /** Protobuf field number. */
  readonly number: number;
  /** Scalar type, or undefined for a message. */
  readonly scalar: ScalarType | undefined;
  /** Full name of the message type, or ''. */
  readonly message: string;
  readonly shape: 'single' | 'list' | 'map';
  /** A Go pointer: absent and zero differ. */
  readonly pointer: boolean;
  /** Go writes it into JSON even when zero. */
  readonly always: boolean;
  /** Its fields stand in the parent's JSON object. */
  readonly inline: boolean;
  /** Strategic merge patch: key of list items; '' merges primitives as a set; undefined replaces the list. */
  readonly mergeKey: string | undefined;
  readonly retainKeys: boolean;
  /** Server-side apply: what a list is, undefined when it is no list. */
  readonly listType: ListType | undefined;
  /** Server-side apply: a map that is owned as a whole. */
  readonly atomicMap: boolean;
  /** What it is when left out, as the key of a list item. */
  readonly keyDefault: string | number | boolean | undefined;
}

/** `x-kubernetes-list-type`; a map has the names of the fields that identify its items, in order of names. */
export type ListType =
  | { readonly type: 'atomic' | 'set'; readonly keys: readonly [] }
  | { readonly type: 'map'; readonly keys: readonly string[] };

export interface MessageSchema {
  /** Full name, e.g. `k8s.io.api.core.v1.Pod`. */
  readonly name: string;
  /** Whether apiVersion and kind belong to it. */
  readonly typed: boolean;
  /** Server-side apply: owned as a whole (`x-kubernetes-map-type`). */
  readonly atomic: boolean;
  /** As in protobuf; embedded structs are one field. */
  readonly fields: readonly FieldSchema[];
  readonly byNumber: ReadonlyMap<number, FieldSchema>;
  /** As in JSON; embedded structs are resolved. Without apiVersion and kind. */
  readonly byName: ReadonlyMap<string, FieldSchema>;
}

export const metaV1 = 'k8s.io.apimachinery.pkg.apis.meta.v1';
export const intOrString = 'k8s.io.apimachinery.pkg.util.intstr.IntOrString';
export const quantity = 'k8s.io.apimachinery.pkg.api.resource.Quantity';
export const rawExtension = 'k8s.io.apimachinery.pkg.runtime.RawExtension';
export const unknown = 'k8s.io.apimachinery.pkg.runtime.Unknown';

const packages = tables as Readonly<Record<string, Readonly<Record<string, string>>>>;
const scalars: ReadonlySet<string> = new Set(['string', 'bytes', 'bool', 'int32', 'int64', 'double']);
const parsed = new Map<string, MessageSchema>();

/** The schema of a message by its full name; parsed on first use. Undefined when the tables do not hold it. */
export function findMessage(name: string): MessageSchema | undefined {
  const known = parsed.get(name);
  if (known) return known;
  const dot = name.lastIndexOf('.');
  const packageName = name.slice(0, dot);
  const short = name.slice(dot + 1);
  // Names may come from the wire: `constructor` must not be found.
  const messages = Object.hasOwn(packages, packageName) ? packages[packageName]! : {};
  if (!Object.hasOwn(messages, short)) return undefined;
  const line = messages[short]!;
  const message = parseMessage(name, packageName, line);
  parsed.set(name, message);
  return message;
}

/** As {@link findMessage}. @throws RangeError naming the message. */
export function messageSchema(name: string): MessageSchema {
  const message = findMessage(name);
  if (!message) throw new RangeError(`no schema for ${JSON.stringify(name)}`);
  return message;
}

function parseMessage(name: string, packageName: string, line: string): MessageSchema {
  const parts = line === '' ? [] : line.split(';');
  const typed = parts[0] === '@';
  const fields = (typed ? parts.slice(1) : parts).map((text) => parseField(text, packageName, name));
  const byName = new Map<string, FieldSchema>();
  for (const field of fields) {
    if (!field.inline) byName.set(field.name, field);
    else for (const [inner, schema] of messageSchema(field.message).byName) byName.set(inner, schema);
  }
  return { name, typed, atomic: atomicMessages.has(name), fields, byNumber: new Map(fields.map((field) => [field.number, field])), byName };
}

function parseField(text: string, packageName: string, messageName: string): FieldSchema {
  const [number = '', name = '', type = '', ...flags] = text.split(' ');
  const shape = type.startsWith('[]') ? 'list' : type.startsWith('{}') ? 'map' : 'single';
  const pointer = type.startsWith('*');
  const base = type.slice(pointer ? 1 : shape === 'single' ? 0 : 2);
  const scalar = scalars.has(base) ? (base as ScalarType) : undefined;
  const mergeKey = flags.find((flag) => flag.startsWith('~'))?.slice(1);
  const always = flags.includes('!');
  const path = `${messageName}.${name}`;
  return {
    name,
    number: Number(number),
    scalar,
    message: scalar ? '' : base.includes('.') ? base : `${packageName}.${base}`,
    shape,
    pointer,
    always,
    inline: name === '=',
    mergeKey,
    retainKeys: flags.includes('^'),
    listType: shape === 'list' ? listTypeOf(path, mergeKey) : undefined,
    atomicMap: shape === 'map' && atomicMaps.has(path),
    keyDefault: keyDefaults[path] ?? (always && shape === 'single' && scalar ? zeroOf(scalar) : undefined),
  };
}

function listTypeOf(path: string, mergeKey: string | undefined): ListType {
  const given = listTypes[path] ?? (mergeKey === undefined ? 'atomic' : mergeKey || 'set');
  return given === 'atomic' || given === 'set' ? { type: given, keys: [] } : { type: 'map', keys: given.split(' ').toSorted() };
}

/** Go's zero value, as JSON. */
export const zeroOf = (scalar: ScalarType): string | number | boolean =>
  scalar === 'bool' ? false : scalar === 'string' || scalar === 'bytes' ? '' : 0;

/** Message name of a kind, e.g. (`apps/v1`, `Deployment`) to `k8s.io.api.apps.v1.Deployment`. Undefined when unknown. */
export function messageOfKind(apiVersion: string, kind: string): string | undefined {
  const slash = apiVersion.indexOf('/');
  const group = slash < 0 ? 'core' : apiVersion.slice(0, slash).replace(/\.k8s\.io$|\..*$/, '');
  const version = apiVersion.slice(slash + 1);
  // DeleteOptions and Status are registered in every group.
  const names = [`k8s.io.api.${group}.${version}.${kind}`, `${metaV1}.${kind}`];
  return names.find((name) => findMessage(name)?.typed);
}
