import { kinds } from '../../objects/index.ts';
import type { StoredValue } from '../../storage/index.ts';
import { type Finding, readObjects } from './objects.ts';
import { checkReferences } from './references.ts';

export type { Finding } from './objects.ts';

/** Checks the values of a store as the objects of a cluster. Pure. Returns what is wrong and how many objects there are. */
export function checkObjects(values: readonly StoredValue[]): { readonly objects: number; readonly findings: readonly Finding[] } {
  const { objects, findings } = readObjects(values, kinds);
  return { objects: objects.length, findings: [...findings, ...checkReferences(objects)] };
}
