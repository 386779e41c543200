// What a write does to the owners of an object's fields, and how a configuration is applied (structured-merge-diff's merge.Updater).
import { ApplyConflictError } from './apply-errors.ts';
import { compare, type Comparison, type Side } from './compare.ts';
import { difference, type FieldSet, intersection, noFields, recursiveDifference, union } from './field-set.ts';
import type { Manager, Managers } from './managers.ts';
import { merge, removeFields } from './merge.ts';
import { reconcile } from './reconcile.ts';
import type { StructStructure } from './structure.ts';
import { toFieldSet, withNamedFields } from './to-field-set.ts';
import type { JsonObject } from './values.ts';

/** What objects are compared by. */
export interface Scheme {
  readonly structure: StructStructure;
  readonly apiVersion: string;
  /** Fields that the write cannot change, whatever it says: status by way of the object, spec by way of /status. */
  readonly ignored: FieldSet;
  /** Whether fields of another version are kept as they are; else their owner is forgotten. */
  servesVersion(apiVersion: string): boolean;
}

export const decoded = (value: unknown): Side => ({ value, decoded: true });

/** Takes fields away from the others who own them. @throws ApplyConflictError unless forced, when they own what changes. */
function takeFromOthers(scheme: Scheme, managers: Managers, comparison: Comparison, self: string, force: boolean): Managers {
  const changed = union(comparison.modified, comparison.added);
  const result: Managers = new Map();
  const conflicts: Manager[] = [];
  for (const [id, manager] of managers) {
    if (id === self) {
      if (manager.set.size > 0) result.set(id, manager);
      continue;
    }
    if (manager.apiVersion !== scheme.apiVersion) {
      if (scheme.servesVersion(manager.apiVersion)) result.set(id, manager);
      continue;
    }
    const conflicting = intersection(manager.set, changed);
    if (conflicting.size > 0) conflicts.push({ ...manager, set: conflicting });
    const set = difference(difference(manager.set, conflicting), comparison.removed);
    if (set === manager.set) result.set(id, manager);
    else if (set.size > 0) result.set(id, { ...manager, set });
  }
  if (conflicts.length > 0 && !force) throw new ApplyConflictError(conflicts);
  return result;
}

function compareIgnoring({ structure, ignored }: Scheme, left: Side, right: Side): Comparison {
  const { added, modified, removed } = compare(structure, left, right);
  return {
    added: recursiveDifference(added, ignored),
    modified: recursiveDifference(modified, ignored),
    removed: recursiveDifference(removed, ignored),
  };
}

/** After a write other than an apply: the owners that lost fields, and the fields that the write set (none: nothing changed, or fields only went). */
export function update(scheme: Scheme, live: JsonObject, object: JsonObject, managers: Managers): { managers: Managers; owned: FieldSet } {
  const comparison = compareIgnoring(scheme, decoded(live), decoded(object));
  const reconciled = reconcileAll(scheme, managers);
  return {
    managers: takeFromOthers(scheme, reconciled, comparison, '', true),
    owned: union(comparison.modified, comparison.added),
  };
}

/**
 * Merges a configuration into the live object and removes what the applier alone owned and no longer names.
 * @throws ApplyConflictError unless forced.
 */
export function apply(
  scheme: Scheme,
  live: JsonObject,
  configuration: JsonObject,
  managers: Managers,
  self: { id: string; manager: Omit<Manager, 'set'> },
  force: boolean,
): { object: JsonObject; managers: Managers; changed: boolean } {
  const reconciled = reconcileAll(scheme, managers);
  const last = reconciled.get(self.id);
  const set = recursiveDifference(toFieldSet(scheme.structure, configuration), scheme.ignored);
  reconciled.set(self.id, { ...self.manager, set });
  const merged = merge(scheme.structure, live, configuration) as JsonObject;
  const object = last && last.set.size > 0 && last.apiVersion === scheme.apiVersion ? prune(scheme, merged, reconciled, last.set) : merged;
  const comparison = compareIgnoring(scheme, decoded(live), decoded(object));
  const changed = comparison.added.size + comparison.modified.size + comparison.removed.size > 0;
  return { object, managers: takeFromOthers(scheme, reconciled, comparison, self.id, force), changed };
}

/** The merged object without what was applied last time, is not in the new configuration, and nobody else owns. */
function prune({ structure, apiVersion }: Scheme, merged: JsonObject, managers: Managers, last: FieldSet): JsonObject {
  const named = (set: FieldSet): FieldSet => withNamedFields(set, structure);
  const fieldsOf = (value: unknown): FieldSet => named(toFieldSet(structure, value));
  let owned: FieldSet = noFields;
  for (const manager of managers.values()) if (manager.apiVersion === apiVersion) owned = union(owned, manager.set);
  const all = fieldsOf(merged);
  const without = removeFields(structure, merged, named(last));
  const withOwned = removeFields(structure, merged, difference(all, union(fieldsOf(without), named(owned))));
  const dangling = intersection(difference(all, fieldsOf(withOwned)), named(last));
  return (removeFields(structure, merged, dangling) ?? {}) as JsonObject;
}

/** The owners with their fields brought to what the structure says now. A copy. */
function reconcileAll({ structure, apiVersion }: Scheme, managers: Managers): Managers {
  const result: Managers = new Map();
  for (const [id, manager] of managers) {
    const set = manager.apiVersion === apiVersion ? reconcile(structure, manager.set) : manager.set;
    result.set(id, set === manager.set ? manager : { ...manager, set });
  }
  return result;
}
