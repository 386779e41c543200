import type { AnyObject } from '../kind.ts';
import type { ManagedFieldsEntry } from '../types/index.ts';
import { equalValues } from './values.ts';

/**
 * Gives owners their old times (in place) where nothing else of the object changed: an apply that changes nothing is no write
 * (the reference's IgnoreManagedFieldsTimestampsTransformer).
 */
export function keepIdleTimes(object: AnyObject, old: AnyObject): void {
  const before = old.metadata.managedFields;
  const after = object.metadata.managedFields;
  if (!before || !after || before.length !== after.length || equalTimes(before, after)) return;
  const sameOwners = after.every((entry) => before.some((other) => equalButTime(entry, other)));
  if (sameOwners && equalValues(withoutOwners(object), withoutOwners(old))) object.metadata.managedFields = before;
}

const equalTimes = (before: readonly ManagedFieldsEntry[], after: readonly ManagedFieldsEntry[]): boolean =>
  before.every(({ time }, index) => time === after[index]!.time);

function equalButTime({ time: _time, ...entry }: ManagedFieldsEntry, { time: _otherTime, ...other }: ManagedFieldsEntry): boolean {
  return equalValues(entry, other);
}

/** resourceVersion is no content: who sends it only makes the write depend on it. */
function withoutOwners({ metadata, ...rest }: AnyObject): object {
  const { managedFields: _managedFields, resourceVersion: _resourceVersion, ...kept } = metadata;
  return { ...rest, metadata: kept };
}
