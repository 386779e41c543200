// Who owns which fields: metadata.managedFields, read and written (apimachinery's util/managedfields).
import type { ManagedFieldsEntry } from '../types/index.ts';
import { type FieldSet, fromFieldsV1, toFieldsV1, union } from './field-set.ts';
import { goJson, PathElementError } from './path-element.ts';

/** One owner with its fields. */
export interface Manager {
  readonly name: string;
  readonly operation: 'Apply' | 'Update';
  /** Group and version that the fields are of. */
  readonly apiVersion: string;
  /** '' for the object itself. */
  readonly subresource: string;
  /** RFC 3339; undefined when not known. */
  readonly time: string | undefined;
  readonly set: FieldSet;
}

/** Owners by {@link identifierOf}. */
export type Managers = Map<string, Manager>;

/** What makes an owner one and the same: for an applier not the version, so that it stays itself when it moves to another. */
export function identifierOf({ name, operation, apiVersion, subresource }: Omit<Manager, 'time' | 'set'>): string {
  const parts = [`"manager":${goJson(name)}`, `"operation":"${operation}"`];
  if (operation === 'Update') parts.push(`"apiVersion":${goJson(apiVersion)}`);
  if (subresource) parts.push(`"subresource":${goJson(subresource)}`);
  return `{${parts.join(',')}}`;
}

/** Reads metadata.managedFields. Undefined when an entry is malformed. */
export function decodeManagers(entries: readonly ManagedFieldsEntry[] | undefined): Managers | undefined {
  const managers: Managers = new Map();
  for (const entry of entries ?? []) {
    const { operation, apiVersion, fieldsType, manager: name = '', subresource = '', time, fieldsV1 = {} } = entry;
    if ((operation !== 'Apply' && operation !== 'Update') || !apiVersion || fieldsType !== 'FieldsV1') return undefined;
    try {
      const manager: Manager = { name, operation, apiVersion, subresource, time, set: fromFieldsV1(fieldsV1) };
      managers.set(identifierOf(manager), manager);
    } catch (error) {
      if (error instanceof PathElementError) return undefined;
      throw error;
    }
  }
  return managers;
}

/** As metadata.managedFields, in its order: appliers, then updaters, each oldest first. */
export function encodeManagers(managers: Managers): ManagedFieldsEntry[] {
  return [...managers.values()].sort(compareManagers).map(({ name, operation, apiVersion, subresource, time, set }) => ({
    ...(name && { manager: name }),
    operation,
    apiVersion,
    ...(time !== undefined && { time }),
    fieldsType: 'FieldsV1',
    fieldsV1: toFieldsV1(set),
    ...(subresource && { subresource }),
  }));
}

const seconds = (time: string | undefined): number => (time === undefined ? 0 : Math.floor(Date.parse(time) / 1_000));
const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

const compareManagers = (a: Manager, b: Manager): number =>
  compareText(a.operation, b.operation) ||
  seconds(a.time) - seconds(b.time) ||
  compareText(a.name, b.name) ||
  compareText(a.apiVersion, b.apiVersion) ||
  compareText(a.subresource, b.subresource);

/** Owners from updates that an object keeps. */
const maxUpdaters = 10;

/** Merges the oldest owners from updates into one, `ancient-changes`, until there are no more than ten. In place. */
export function capUpdaters(managers: Managers): void {
  const updaters = [...managers].filter(([, { operation }]) => operation === 'Update');
  let count = updaters.length;
  if (count <= maxUpdaters) return;
  updaters.sort(([idA, a], [idB, b]) => seconds(a.time) - seconds(b.time) || compareText(idA, idB));
  const firstOfVersion = new Map<string, string>();
  for (const [id, manager] of updaters) {
    if (count <= maxUpdaters) return;
    const { apiVersion } = manager;
    const first = firstOfVersion.get(apiVersion);
    if (first === undefined) {
      firstOfVersion.set(apiVersion, id);
      continue;
    }
    const bucket = { name: 'ancient-changes', operation: 'Update', apiVersion, subresource: '' } as const;
    const bucketId = identifierOf(bucket);
    const before = managers.get(bucketId) ?? managers.get(first)!;
    if (!managers.has(bucketId)) managers.delete(first);
    managers.set(bucketId, { ...bucket, time: manager.time, set: union(manager.set, before.set) });
    if (id !== bucketId) managers.delete(id);
    count--;
  }
}
