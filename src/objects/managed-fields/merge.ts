// Merges a configuration into an object, and takes fields out of one (structured-merge-diff's Merge and RemoveItems). Nothing given is changed;
// results may share parts of it.
import type { FieldSet } from './field-set.ts';
import { itemElement } from './path-element.ts';
import type { ListStructure, Structure } from './structure.ts';
import { isEmptyList, isEmptyObject, isObject, itemsByElement, type JsonObject } from './values.ts';

/** `left` with what `right` says; undefined is absent. Lists keep the order of `right` where both have the items, else that of `left`. */
export function merge(structure: Structure, left: unknown, right: unknown): unknown {
  if (right === undefined) return left;
  if (left === undefined || structure.kind === 'scalar') return right;
  switch (structure.kind) {
    case 'list':
      if (structure.list.type === 'atomic' || (isEmptyList(left) && isEmptyList(right))) return right;
      return mergeLists(structure, left, right);
    case 'any':
      return isObject(left) && isObject(right) && !isEmptyObject(right) ? mergeObjects(structure, left, right) : right;
    default:
      if (structure.atomic || (isEmptyObject(left) && isEmptyObject(right))) return right;
      return mergeObjects(structure, isObject(left) ? left : {}, isObject(right) ? right : {});
  }
}

function mergeObjects(structure: Exclude<Structure, { kind: 'scalar' | 'list' }>, left: JsonObject, right: JsonObject): JsonObject {
  const result = new Map(Object.entries(left));
  for (const [name, value] of Object.entries(right)) {
    const inner = fieldStructure(structure, name);
    result.set(name, inner ? merge(inner, result.get(name), value) : value);
  }
  return Object.fromEntries(result);
}

function fieldStructure(structure: Exclude<Structure, { kind: 'scalar' | 'list' }>, name: string): Structure | undefined {
  if (structure.kind === 'struct') return structure.fields.get(name)?.structure;
  return structure.kind === 'map' ? structure.value : structure;
}

function mergeLists(structure: ListStructure, left: unknown, right: unknown): unknown[] {
  const before = itemsByElement(structure, left);
  const after = itemsByElement(structure, right);
  const lefts = Array.isArray(left) ? (left as unknown[]).map((item) => ({ element: itemElement(structure, item), item })) : [];
  const rights = [...after.keys()];
  /** Items that both have, in the order of `right`, and how many of them are done. */
  const shared = rights.filter((element) => before.has(element));
  let sharedDone = 0;
  const done = new Set<string>();
  const result: unknown[] = [];
  const takeRight = (element: string): void => {
    done.add(element);
    const same = before.get(element) ?? [];
    // Of duplicates nobody can say which one is meant: they give way.
    result.push(merge(structure.item, same.length === 1 ? same[0] : undefined, after.get(element)![0]));
    if (shared[sharedDone] === element) sharedDone++;
  };
  for (let l = 0, r = 0; l < lefts.length || r < rights.length; ) {
    const at = lefts[l];
    if (at && r < rights.length) {
      if (at.element === rights[r]) {
        takeRight(at.element);
        l++;
        r++;
        continue;
      }
      if (after.has(at.element) && sharedDone < shared.length && shared[sharedDone] !== at.element) {
        // Both have it, but its turn is later.
        l++;
        continue;
      }
    }
    if (at) {
      if (!after.has(at.element)) {
        result.push(at.item);
        l++;
        continue;
      }
      if (done.has(at.element)) l++;
    }
    if (r < rights.length) takeRight(rights[r++]!);
  }
  return result;
}

/** The value without the fields of the set. What becomes empty by it becomes null. */
export function removeFields(structure: Structure, value: unknown, set: FieldSet): unknown {
  if (structure.kind === 'scalar' || set.size === 0) return value;
  if (structure.kind === 'list') {
    if (structure.list.type === 'atomic' || isEmptyList(value)) return value;
    const kept = (value as unknown[]).flatMap((item) => {
      const node = set.get(itemElement(structure, item));
      if (node?.member) return [];
      return [node?.children ? removeFields(structure.item, item, node.children) : item];
    });
    return kept.length > 0 ? kept : null;
  }
  if (!isObject(value) || (structure.kind !== 'any' && structure.atomic)) return value;
  const kept: [string, unknown][] = [];
  for (const [name, inner] of Object.entries(value)) {
    const node = set.get(`f:${name}`);
    if (node?.member) continue;
    const below = node?.children && fieldStructure(structure, name);
    kept.push([name, below ? removeFields(below, inner, node.children!) : inner]);
  }
  return kept.length > 0 ? Object.fromEntries(kept) : null;
}
