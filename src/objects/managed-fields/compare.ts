// Compares two objects field by field (structured-merge-diff's Compare).
import { type FieldNode, type FieldSet, leaf, noFields } from './field-set.ts';
import type { ListStructure, MapStructure, StructField, Structure, StructStructure } from './structure.ts';
import { equalValues, isEmptyList, isEmptyObject, isObject, itemsByElement, type JsonObject } from './values.ts';

export interface Comparison {
  readonly added: FieldSet;
  readonly modified: FieldSet;
  readonly removed: FieldSet;
}

/**
 * An object, and how it is to be read: one that was stored or decoded has every field that Go writes without being asked (`resources: {}` of a
 * container), a configuration has only what it says.
 */
export interface Side {
  readonly value: unknown;
  readonly decoded: boolean;
}

interface Sides {
  readonly left: boolean;
  readonly right: boolean;
}

type Kind = 'added' | 'modified' | 'removed';

/** Differences below one element; made only where there are any. */
class Differences {
  added: Map<string, FieldNode> | undefined;
  modified: Map<string, FieldNode> | undefined;
  removed: Map<string, FieldNode> | undefined;

  put(kind: Kind, element: string, node: FieldNode): void {
    const standing = (this[kind] ??= new Map()).get(element);
    this[kind].set(element, standing ? { member: standing.member || node.member, children: standing.children ?? node.children } : node);
  }

  descend(element: string, inner: Differences): void {
    for (const kind of ['added', 'modified', 'removed'] as const) {
      const children = inner[kind];
      if (children) this.put(kind, element, { member: false, children });
    }
  }
}

/** What is in `right` and not in `left`, differs, or is in `left` alone. */
export function compare(structure: StructStructure, left: Side, right: Side): Comparison {
  const found = new Differences();
  compareStructs(structure, left.value as JsonObject, right.value as JsonObject, { left: left.decoded, right: right.decoded }, found);
  return { added: found.added ?? noFields, modified: found.modified ?? noFields, removed: found.removed ?? noFields };
}

/** Either side may be undefined, for absent; not both. */
function compareValues(structure: Structure, element: string, left: unknown, right: unknown, decoded: Sides, into: Differences): void {
  if (left === undefined) return into.put('added', element, wholeNode(structure, right, decoded.right));
  if (right === undefined) return into.put('removed', element, wholeNode(structure, left, decoded.left));
  if (left === right && decoded.left === decoded.right) return;
  if (structure.kind === 'scalar' || isLeafPair(structure, left, right, decoded)) {
    if (!equalValues(left, right)) into.put('modified', element, leaf);
    return;
  }
  const inner = new Differences();
  switch (structure.kind) {
    case 'list':
      compareLists(structure, left, right, decoded, inner);
      break;
    case 'struct':
      compareStructs(structure, asObject(left), asObject(right), decoded, inner);
      break;
    default:
      compareMaps(structure, asObject(left), asObject(right), decoded, inner);
  }
  into.descend(element, inner);
}

const nothing: JsonObject = Object.freeze({});
const asObject = (value: unknown): JsonObject => (isObject(value) ? value : nothing);

/** Owned as a whole, or empty on both sides. */
function isLeafPair(structure: Exclude<Structure, { kind: 'scalar' }>, left: unknown, right: unknown, decoded: Sides): boolean {
  switch (structure.kind) {
    case 'list':
      return structure.list.type === 'atomic' || (isEmptyList(left) && isEmptyList(right));
    case 'any':
      return !(isObject(left) && isObject(right)) || (isEmptyObject(left) && isEmptyObject(right));
    case 'map':
      return structure.atomic || (isEmptyObject(left) && isEmptyObject(right));
    case 'struct':
      return structure.atomic || (isEmptyStruct(structure, left, decoded.left) && isEmptyStruct(structure, right, decoded.right));
  }
}

const isEmptyStruct = (structure: StructStructure, value: unknown, decoded: boolean): boolean =>
  isEmptyObject(value) && (value === null || !decoded || structure.always.length === 0);

/** The field as Go has it; undefined when absent. */
function fieldValue(object: JsonObject, { name, zero }: StructField, decoded: boolean): unknown {
  const value = object[name];
  return decoded && (value === undefined || value === null) ? zero : value;
}

function compareStructs(structure: StructStructure, left: JsonObject, right: JsonObject, decoded: Sides, into: Differences): void {
  const one = (field: StructField | undefined): void => {
    if (!field) return;
    const before = fieldValue(left, field, decoded.left);
    const after = fieldValue(right, field, decoded.right);
    if (before !== undefined || after !== undefined) compareValues(field.structure, field.element, before, after, decoded, into);
  };
  for (const name in right) one(structure.fields.get(name));
  for (const name in left) if (right[name] === undefined && !(name in right)) one(structure.fields.get(name));
  // Where both sides leave out what Go writes, they are equal.
  if (decoded.left !== decoded.right) for (const field of structure.always) if (!(field.name in left || field.name in right)) one(field);
}

function compareMaps(
  structure: MapStructure | (Structure & { kind: 'any' }),
  left: JsonObject,
  right: JsonObject,
  decoded: Sides,
  into: Differences,
): void {
  const value = structure.kind === 'map' ? structure.value : structure;
  for (const name in right) compareValues(value, `f:${name}`, left[name], right[name], decoded, into);
  for (const name in left) if (!(name in right)) compareValues(value, `f:${name}`, left[name], undefined, decoded, into);
}

function compareLists(structure: ListStructure, left: unknown, right: unknown, decoded: Sides, into: Differences): void {
  const before = itemsByElement(structure, left);
  const after = itemsByElement(structure, right);
  for (const [element, items] of after) compareItems(structure, element, before.get(element) ?? [], items, decoded, into);
  for (const [element, items] of before) if (!after.has(element)) compareItems(structure, element, items, [], decoded, into);
}

/** Items of one element: more than one are duplicates, which are owned as one. */
function compareItems(
  { item }: ListStructure,
  element: string,
  left: readonly unknown[],
  right: readonly unknown[],
  decoded: Sides,
  into: Differences,
): void {
  if (left.length <= 1 && right.length <= 1) return compareValues(item, element, left[0], right[0], decoded, into);
  if (left.length > 1 && right.length > 1) {
    if (!equalValues(left, right)) into.put('modified', element, leaf);
  } else if (left.length > 1) {
    if (right.length > 0) compareValues(item, element, undefined, right[0], decoded, into);
    into.put('removed', element, leaf);
  } else {
    if (left.length > 0) compareValues(item, element, left[0], undefined, decoded, into);
    into.put('added', element, leaf);
  }
}

/** A value that is on one side only: it and all below it. */
function wholeNode(structure: Structure, value: unknown, decoded: boolean): FieldNode {
  const children = wholeChildren(structure, value, decoded);
  return children && children.size > 0 ? { member: true, children } : leaf;
}

function wholeChildren(structure: Structure, value: unknown, decoded: boolean): Map<string, FieldNode> | undefined {
  switch (structure.kind) {
    case 'scalar':
      return undefined;
    case 'list': {
      if (structure.list.type === 'atomic' || isEmptyList(value)) return undefined;
      const children = new Map<string, FieldNode>();
      for (const [element, items] of itemsByElement(structure, value))
        children.set(element, items.length > 1 ? leaf : wholeNode(structure.item, items[0], decoded));
      return children;
    }
    case 'struct':
      return structure.atomic || !isObject(value) ? undefined : wholeFields(structure, value, decoded);
    default: {
      if (!isObject(value) || (structure.kind === 'map' && structure.atomic)) return undefined;
      const children = new Map<string, FieldNode>();
      for (const name in value)
        children.set(`f:${name}`, wholeNode(structure.kind === 'map' ? structure.value : structure, value[name], decoded));
      return children;
    }
  }
}

function wholeFields(structure: StructStructure, value: JsonObject, decoded: boolean): Map<string, FieldNode> {
  const children = new Map<string, FieldNode>();
  for (const name in value) {
    const field = structure.fields.get(name);
    const inner = field && fieldValue(value, field, decoded);
    if (inner !== undefined) children.set(field!.element, wholeNode(field!.structure, inner, decoded));
  }
  if (decoded) {
    for (const field of structure.always)
      if (!children.has(field.element)) children.set(field.element, wholeNode(field.structure, field.zero, true));
  }
  return children;
}
