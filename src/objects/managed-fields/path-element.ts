// Path elements: one step from an object to a field, as fieldsV1 writes them (structured-merge-diff's fieldpath).
//   f:NAME   field of a struct, or key of a map
//   k:JSON   list item with these keys, in order of names: k:{"containerPort":80,"protocol":"TCP"}
//   v:JSON   item of a set
//   i:INDEX  item of a list by its place
import type { ListStructure } from './structure.ts';

/** Why a list item has no path element. */
export class PathElementError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'PathElementError';
  }
}

/** JSON as Go's encoder writes it: what would be markup in HTML is escaped. */
export const goJson = (value: unknown): string =>
  JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** The element of an item of a set or a map list. @throws PathElementError when the item has none. */
export function itemElement({ list, item: structure }: ListStructure, item: unknown): string {
  return list.type === 'map' ? keyElement(list.keys, structure, item) : setElement(item);
}

function keyElement(keys: readonly string[], structure: ListStructure['item'], item: unknown): string {
  if (item === null || item === undefined) throw new PathElementError('associative list with keys may not have a null element');
  if (typeof item !== 'object' || Array.isArray(item))
    throw new PathElementError('associative list with keys may not have non-map elements');
  let text = '';
  for (const key of keys) {
    const value =
      (item as Record<string, unknown>)[key] ?? (structure.kind === 'struct' ? structure.fields.get(key)?.keyDefault : undefined);
    if (value !== undefined) text += `${text ? ',' : ''}"${key}":${goJson(value)}`;
  }
  if (!text) throw new PathElementError('associative list with keys has an element that omits all keys');
  return `k:{${text}}`;
}

function setElement(item: unknown): string {
  if (item === null || item === undefined)
    throw new PathElementError("associative list without keys has an element that's an explicit null");
  if (Array.isArray(item)) throw new PathElementError('not supported: associative list with lists as elements');
  if (typeof item === 'object') throw new PathElementError("associative list without keys has an element that's a map type");
  return `v:${goJson(item)}`;
}

/**
 * The element in the one form that is compared; undefined for a kind of element that is not known, which readers pass over.
 * @throws PathElementError when it is malformed.
 */
export function normalizeElement(text: string): string | undefined {
  if (text[1] !== ':') throw new PathElementError(`missing colon: ${text.slice(0, 64)}`);
  const content = text.slice(2);
  switch (text[0]) {
    case 'f':
      return text;
    case 'k':
      return `k:${goJson(sortedKeys(content))}`;
    case 'v':
      return `v:${goJson(parse(content))}`;
    case 'i':
      if (!/^\d{1,9}$/.test(content)) throw new PathElementError(`not an index: ${text.slice(0, 64)}`);
      return `i:${Number(content)}`;
    default:
      return undefined;
  }
}

function sortedKeys(content: string): Record<string, unknown> {
  const value = parse(content);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new PathElementError(`not an object: ${content.slice(0, 64)}`);
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => compareText(a, b)));
}

function parse(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    throw new PathElementError(`not JSON: ${content.slice(0, 64)}`);
  }
}

/** Items by keys, then by value, then by index: behind the fields. */
const itemOrder = 'kvi';

/** Entries in the order in which fieldsV1 lists their elements: fields, then items by keys, by value, by index; numbers as numbers. */
export function inElementOrder<T>(entries: Iterable<readonly [string, T]>): (readonly [string, T])[] {
  const fields: (readonly [string, T])[] = [];
  const items: { entry: readonly [string, T]; value: unknown }[] = [];
  for (const entry of entries) {
    if (entry[0].startsWith('f')) fields.push(entry);
    else items.push({ entry, value: JSON.parse(entry[0].slice(2)) });
  }
  fields.sort(([a], [b]) => compareText(a, b));
  if (items.length === 0) return fields;
  items.sort(
    ({ entry: [a], value }, { entry: [b], value: other }) =>
      itemOrder.indexOf(a[0]!) - itemOrder.indexOf(b[0]!) || compareValues(value, other),
  );
  return [...fields, ...items.map(({ entry }) => entry)];
}

/** As Go's strings.Compare for text within the basic plane, which names are. */
const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Numbers before texts before booleans; keys one after the other by name, then value. */
function compareValues(a: unknown, b: unknown): number {
  if (typeof a !== typeof b) return rank(a) - rank(b);
  if (typeof a === 'number') return a - (b as number);
  if (typeof a === 'string') return compareText(a, b as string);
  if (typeof a === 'boolean') return Number(a) - Number(b);
  const left = Object.entries(a ?? {});
  const right = Object.entries((b ?? {}) as object);
  for (const [index, [name, value]] of left.entries()) {
    const other = right[index];
    if (!other) return 1;
    const difference = compareText(name, other[0]) || compareValues(value, other[1]);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

const rank = (value: unknown): number => ['number', 'string', 'boolean'].indexOf(typeof value);

/** As people read it in a path: `.spec`, `[name="web"]`, `[="10.0.0.1"]`, `[3]`. */
export function printElement(element: string): string {
  const content = element.slice(2);
  switch (element[0]) {
    case 'f':
      return `.${content}`;
    case 'k': {
      const keys = Object.entries(JSON.parse(content) as object).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
      return `[${keys.join(',')}]`;
    }
    case 'v':
      return `[=${content}]`;
    default:
      return `[${content}]`;
  }
}
