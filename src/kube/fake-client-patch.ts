import { applyPatch, type Operation } from 'rfc6902';
import type { PatchType } from './client.ts';
import { type Json, refuse } from './fake-client-rules.ts';

/** The object after the patch. Strategic patches are taken as merge patches whose lists of named things are merged by `type` or `name`. */
export function applyFakePatch(type: PatchType, object: Json, patch: unknown): Json {
  if (type !== 'json') return merge(object, patch, type === 'strategic') as Json;
  const copy = structuredClone(object);
  const failed = applyPatch(copy, patch as Operation[]).find((error) => error !== null);
  if (failed) throw refuse('Invalid', 422, `the server rejected our request due to an error in our request: ${failed.message}`);
  return copy;
}

/** RFC 7396. */
function merge(target: unknown, patch: unknown, strategic: boolean): unknown {
  if (strategic && Array.isArray(patch) && Array.isArray(target)) return mergeLists(target, patch);
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return structuredClone(patch);
  const result: Record<string, unknown> = typeof target === 'object' && target !== null && !Array.isArray(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = merge(result[key], value, strategic);
  }
  return result;
}

function mergeLists(target: readonly unknown[], patch: readonly unknown[]): unknown[] {
  const idOf = (item: unknown): unknown => {
    const { type, name, uid } = (item ?? {}) as { type?: string; name?: string; uid?: string };
    return uid ?? type ?? name;
  };
  if (![...target, ...patch].every((item) => idOf(item) !== undefined)) return structuredClone(patch) as unknown[];
  const result = new Map(target.map((item) => [idOf(item), item]));
  for (const item of patch) result.set(idOf(item), merge(result.get(idOf(item)), item, true));
  return [...result.values()];
}
