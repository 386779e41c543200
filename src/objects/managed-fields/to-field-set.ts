import { type FieldNode, type FieldSet, leaf, noFields } from './field-set.ts';
import type { ListStructure, Structure, StructStructure } from './structure.ts';
import { isEmptyList, isEmptyObject, isObject, itemsByElement, type JsonObject } from './values.ts';

/**
 * The fields that a configuration names (structured-merge-diff's ToFieldSet): leaves, list items and keys of maps. A struct on the way is no member,
 * unless it is empty or null.
 */
export function toFieldSet(structure: Structure, value: unknown): FieldSet {
  return childrenOf(structure, value) ?? noFields;
}

/** Undefined when the value owns nothing. */
function fieldNode(structure: Structure, value: unknown, member: boolean): FieldNode | undefined {
  if (isLeaf(structure, value)) return leaf;
  const children = childrenOf(structure, value);
  return children ? { member, children } : member ? leaf : undefined;
}

function isLeaf(structure: Structure, value: unknown): boolean {
  switch (structure.kind) {
    case 'scalar':
      return true;
    case 'list':
      return structure.list.type === 'atomic' || value === null;
    case 'any':
      return !isObject(value) || isEmptyObject(value);
    default:
      return structure.atomic || isEmptyObject(value);
  }
}

function childrenOf(structure: Structure, value: unknown): FieldSet | undefined {
  if (structure.kind === 'list') return itemsOf(structure, value);
  if (!isObject(value) || structure.kind === 'scalar') return undefined;
  if (structure.kind === 'struct') return fieldsOf(structure, value);
  const children = new Map<string, FieldNode>();
  for (const [name, item] of Object.entries(value)) {
    if (item !== undefined) children.set(`f:${name}`, fieldNode(structure.kind === 'map' ? structure.value : structure, item, true)!);
  }
  return children.size > 0 ? children : undefined;
}

function fieldsOf(structure: StructStructure, value: JsonObject): FieldSet | undefined {
  const children = new Map<string, FieldNode>();
  for (const name in value) {
    const field = structure.fields.get(name);
    const node = field && value[name] !== undefined ? fieldNode(field.structure, value[name], false) : undefined;
    if (node) children.set(field!.element, node);
  }
  return children.size > 0 ? children : undefined;
}

function itemsOf(structure: ListStructure, value: unknown): FieldSet | undefined {
  if (structure.list.type === 'atomic' || isEmptyList(value)) return undefined;
  const children = new Map<string, FieldNode>();
  // Duplicates are owned as one: nobody could say which of them is meant.
  for (const [element, items] of itemsByElement(structure, value))
    children.set(element, items.length > 1 ? leaf : fieldNode(structure.item, items[0], true)!);
  return children;
}

/** The set with the structs on the way to its fields as members (EnsureNamedFieldsAreMembers). */
export function withNamedFields(set: FieldSet, structure: Structure): FieldSet {
  const result = new Map<string, FieldNode>();
  for (const [element, node] of set) {
    const { inner, named } = below(structure, element);
    result.set(element, {
      member: node.member || named,
      children: node.children && inner ? withNamedFields(node.children, inner) : node.children,
    });
  }
  return result;
}

function below(structure: Structure, element: string): { inner: Structure | undefined; named: boolean } {
  switch (structure.kind) {
    case 'struct': {
      const field = structure.fields.get(element.slice(2));
      return { inner: field?.structure, named: field !== undefined };
    }
    case 'map':
      return { inner: structure.value, named: false };
    case 'list':
      return { inner: structure.item, named: false };
    default:
      return { inner: structure.kind === 'any' ? structure : undefined, named: false };
  }
}
