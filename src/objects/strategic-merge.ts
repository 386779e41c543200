// Strategic merge patch: a merge patch that knows which lists are sets or maps (apimachinery's strategicpatch; the merge keys come
// from the schema tables). Pure: neither the original nor the patch is changed.
import { PatchError } from './patch-error.ts';
import { findMessage, type FieldSchema, type MessageSchema, messageSchema } from './schema/table.ts';
import { specialForm } from './schema/wire-forms.ts';
import { arrange, identityOf, type ListItem, positions } from './strategic-merge-order.ts';

type JsonObject = Record<string, unknown>;

const directive = '$patch';
const retainKeys = '$retainKeys';
const setOrder = '$setElementOrder/';
const deleteFrom = '$deleteFromPrimitiveList/';

/**
 * The original with the patch merged into it. `schema` is a message name; lists merge by the keys it declares. Directives: `$patch: delete |
 * replace | merge`, `$retainKeys`, `$setElementOrder/FIELD`, `$deleteFromPrimitiveList/FIELD`.
 *
 * @throws PatchError when the patch is no object, or a directive or a merge key is wrong.
 */
export function strategicMergePatch(schema: string, original: unknown, patch: unknown): JsonObject {
  if (!isObject(patch)) throw new PatchError('a strategic merge patch must be an object');
  return mergeObject(isObject(original) ? original : {}, patch, messageSchema(schema));
}

function mergeObject(original: JsonObject, patch: JsonObject, schema: MessageSchema | undefined): JsonObject {
  switch (patch[directive]) {
    case undefined:
    case 'merge':
      break;
    case 'replace':
      return withoutDirectives(patch) as JsonObject;
    case 'delete':
      return {};
    default:
      throw new PatchError(`unknown patch type found: ${JSON.stringify(patch[directive])}`);
  }
  const result = new Map(Object.entries(original));
  applyRetainKeys(result, patch);
  const ordered = applySetOrders(result, patch, schema);
  for (const [key, value] of Object.entries(patch)) {
    if (key === directive || key === retainKeys || key.startsWith(setOrder) || ordered.has(key)) continue;
    if (key.startsWith(deleteFrom)) {
      const name = key.slice(deleteFrom.length);
      const list = result.get(name);
      if (!Array.isArray(value)) throw new PatchError(`${key} must be a list`);
      if (Array.isArray(list)) result.set(name, without(list, value));
    } else if (value === null) result.delete(key);
    else result.set(key, mergeValue(result.get(key), value, schema?.byName.get(key), key));
  }
  return Object.fromEntries(result);
}

function mergeValue(original: unknown, patch: unknown, field: FieldSchema | undefined, name: string): unknown {
  if (isObject(original) && isObject(patch)) return mergeObject(original, patch, field?.shape === 'map' ? undefined : schemaOf(field));
  if (Array.isArray(original) && Array.isArray(patch)) return mergeList(original, patch, field, name);
  return withoutDirectives(patch);
}

/** Schema of a field's value or items; undefined for scalars, and for messages that are no object in JSON. */
const schemaOf = (field: FieldSchema | undefined): MessageSchema | undefined =>
  field?.message && !specialForm(field.message) ? findMessage(field.message) : undefined;

function mergeList(original: readonly unknown[], patch: readonly unknown[], field: FieldSchema | undefined, name: string): unknown[] {
  const key = field?.mergeKey;
  if (key === undefined) return withoutDirectives(patch) as unknown[];
  if (key === '') {
    checkItems(patch, key, name);
    return arrange([...new Set([...original, ...patch])] as ListItem[], patch as ListItem[], original as ListItem[], '');
  }
  const kept = applyItemDirectives(
    original.map((item) => item as JsonObject),
    patch,
    key,
    name,
  );
  const merged = [...kept.original];
  const places = positions(merged, key);
  for (const item of kept.patch) {
    const at = places.get(item[key]);
    if (at === undefined) places.set(item[key], merged.push(withoutDirectives(item) as JsonObject) - 1);
    else merged[at] = mergeObject(merged[at]!, item, schemaOf(field));
  }
  return arrange(merged, kept.patch, kept.original, key);
}

/** Takes the items with `$patch` out of the patch and obeys them. */
function applyItemDirectives(
  original: JsonObject[],
  patch: readonly unknown[],
  key: string,
  name: string,
): { original: JsonObject[]; patch: JsonObject[] } {
  checkItems(patch, key, name);
  const deleted = new Set<unknown>();
  let replace = false;
  const ordinary: JsonObject[] = [];
  for (const item of patch as readonly JsonObject[]) {
    const what = item[directive];
    if (what === 'replace') {
      replace = true;
      continue;
    }
    if (what !== undefined && what !== 'delete') throw new PatchError(`unknown patch type found: ${JSON.stringify(what)}`);
    if (item[key] === undefined) throw new PatchError(`map: ${goText(item)} does not contain declared merge key: ${key}`);
    if (what === 'delete') deleted.add(item[key]);
    else ordinary.push(item);
  }
  return { original: replace ? [] : original.filter((item) => !deleted.has(identityOf(item, key))), patch: ordinary };
}

function applyRetainKeys(result: Map<string, unknown>, patch: JsonObject): void {
  const keys = patch[retainKeys];
  if (keys === undefined) return;
  if (!Array.isArray(keys)) throw new PatchError(`${retainKeys} must be a list`);
  for (const key of Object.keys(patch)) {
    if (!key.startsWith('$') && patch[key] !== null && !keys.includes(key))
      throw new PatchError(`${retainKeys} does not list ${key}, which the patch sets`);
  }
  for (const key of result.keys()) if (!keys.includes(key)) result.delete(key);
}

/** Merges and orders the lists that have a `$setElementOrder`; gives their names, which are then done. */
function applySetOrders(result: Map<string, unknown>, patch: JsonObject, schema: MessageSchema | undefined): Set<string> {
  const done = new Set<string>();
  for (const [directiveKey, order] of Object.entries(patch)) {
    if (!directiveKey.startsWith(setOrder)) continue;
    const name = directiveKey.slice(setOrder.length);
    const field = schema?.byName.get(name);
    const change = patch[name];
    const original = result.get(name);
    if (!Array.isArray(order)) throw new PatchError(`${directiveKey} must be a list`);
    if (change === null || (change !== undefined && !Array.isArray(change))) continue;
    const key = field?.mergeKey;
    if (key === undefined) throw new PatchError(`${name} is not merged, so it can have no ${setOrder}`);
    checkItems(order, key, directiveKey);
    checkOrder((change ?? []) as ListItem[], order as ListItem[], key, name);
    if (!Array.isArray(original) && change === undefined) continue;
    const before = Array.isArray(original) ? original : [];
    // Deletions count before the order does.
    const deleted = patch[deleteFrom + name];
    const present = Array.isArray(deleted) ? without(before, deleted) : before;
    const merged = change === undefined ? present : mergeList(present, change, field, name);
    result.set(name, arrange(merged as ListItem[], order as ListItem[], before as ListItem[], key));
    done.add(name);
    done.add(deleteFrom + name);
  }
  return done;
}

/** A list that merges by a key is one of objects, any other one of primitive values. */
function checkItems(items: readonly unknown[], key: string, name: string): void {
  if (key === '' && items.some((item) => typeof item === 'object')) throw new PatchError(`an item of ${name} is no primitive value`);
  if (key !== '' && !items.every(isObject)) throw new PatchError(`an item of ${name} is no object`);
}

/** Items that the patch sets must stand in the order's list, in the same sequence. */
function checkOrder(patch: readonly ListItem[], order: readonly ListItem[], key: string, name: string): void {
  const places = positions(order, key);
  let last = -1;
  for (const item of patch) {
    if (isObject(item) && item[directive] !== undefined) continue;
    const at = places.get(identityOf(item, key)) ?? -1;
    if (at <= last) throw new PatchError(`the order in patch list of ${name} doesn't match ${setOrder}${name}`);
    last = at;
  }
}

/** As Go prints a value: `map[image:httpd]`. */
function goText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(goText).join(' ')}]`;
  if (!isObject(value)) return value === null ? '<nil>' : String(value);
  const pairs = Object.entries(value).map(([key, inner]) => `${key}:${goText(inner)}`);
  return `map[${pairs.toSorted().join(' ')}]`;
}

/** A value that goes in whole: nulls and directives are no data. */
function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((item) => !isObject(item) || item[directive] === undefined).map(withoutDirectives);
  if (!isObject(value)) return value;
  if (value[directive] === 'delete') return {};
  const entries = Object.entries(value).filter(
    ([key, inner]) => inner !== null && key !== directive && key !== retainKeys && !key.startsWith(setOrder) && !key.startsWith(deleteFrom),
  );
  return Object.fromEntries(entries.map(([key, inner]) => [key, withoutDirectives(inner)]));
}

function without(list: readonly unknown[], unwanted: readonly unknown[]): unknown[] {
  const gone = new Set(unwanted);
  return list.filter((item) => !gone.has(item));
}

const isObject = (value: unknown): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value);
