// Small questions about JSON values that every walk over an object by its structure asks.
import { itemElement } from './path-element.ts';
import type { ListStructure } from './structure.ts';

export type JsonObject = Record<string, unknown>;

export const isObject = (value: unknown): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Null and empty lists and objects: a leaf, so that the difference between them is kept. */
export const isEmptyList = (value: unknown): boolean => !Array.isArray(value) || value.length === 0;
export function isEmptyObject(value: unknown): boolean {
  if (!isObject(value)) return true;
  for (const name in value) if (value[name] !== undefined) return false;
  return true;
}

/** Items of a list by their path elements, in order. Items of one element are duplicates. */
export function itemsByElement(structure: ListStructure, list: unknown): Map<string, unknown[]> {
  const items = new Map<string, unknown[]>();
  if (!Array.isArray(list)) return items;
  for (const item of list as unknown[]) {
    const element = itemElement(structure, item);
    const same = items.get(element);
    if (same) same.push(item);
    else items.set(element, [item]);
  }
  return items;
}

/** Equality of JSON: absent and undefined are the same. */
export function equalValues(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, index) => equalValues(item, b[index]));
  if (!isObject(a) || !isObject(b)) return false;
  for (const name in a) if (!equalValues(a[name], b[name])) return false;
  for (const name in b) if (b[name] !== undefined && a[name] === undefined) return false;
  return true;
}
