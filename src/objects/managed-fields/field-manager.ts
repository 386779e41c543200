// The managedFields of an object through its writes: apimachinery's util/managedfields, which wraps structured-merge-diff.
import type { AnyObject } from '../kind.ts';
import { apiVersionOf } from '../resource.ts';
import { ApplyConflictError, ApplyRequestError, ConfigurationError } from './apply-errors.ts';
import { checkConfiguration } from './check-configuration.ts';
import { difference, equalSets, type FieldSet, noFields, setOfPath, union } from './field-set.ts';
import { keepLastApplied, lastAppliedFields } from './last-applied.ts';
import { capUpdaters, decodeManagers, encodeManagers, identifierOf, type Manager, type Managers } from './managers.ts';
import { structureOf } from './structure.ts';
import { apply, type Scheme, update } from './updater.ts';
import { isObject, type JsonObject } from './values.ts';
import { PathElementError } from './path-element.ts';

/** What is written: the kind, and by which of its endpoints. */
export interface FieldTarget {
  /** Message name in the schema tables. */
  readonly schema: string;
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** '' for the object itself. */
  readonly subresource: string;
  /** Fields that the endpoint resets, as path elements: `[['f:status']]`. */
  readonly resetFields: readonly (readonly string[])[];
  /** Whether the server knows the kind in another version (`apps/v1`); owners of others are forgotten. */
  servesVersion(apiVersion: string): boolean;
}

/** Who writes, and when (RFC 3339, whole seconds). */
export interface Writer {
  readonly manager: string;
  readonly now: string;
}

/** Owner of what stood before the first apply to an object that had no owners. */
const beforeFirstApply = 'before-first-apply';

/** Fields that nobody owns: they name the object, or the server sets them. */
const unowned: FieldSet = [
  ['f:apiVersion'],
  ['f:kind'],
  ['f:metadata'],
  ...['name', 'namespace', 'creationTimestamp', 'selfLink', 'uid', 'clusterName', 'generation', 'managedFields', 'resourceVersion'].map(
    (name) => ['f:metadata', `f:${name}`],
  ),
].reduce((set, path) => union(set, setOfPath(path)), noFields);

function schemeOf({ schema, group, version, resetFields, servesVersion }: FieldTarget): Scheme {
  return {
    structure: structureOf(schema),
    apiVersion: apiVersionOf({ group, version }),
    ignored: resetFields.reduce((set, path) => union(set, setOfPath(path)), noFields),
    servesVersion,
  };
}

/**
 * Records in `object.metadata.managedFields` (in place) who set what by a create, update or patch. `live` is the object before, undefined on
 * create. Owners that the request itself names count, unless it goes to a subresource; `[]` or `[{}]` forgets all. An object without owners stays
 * so until the first apply.
 */
export function trackUpdate(target: FieldTarget, live: AnyObject | undefined, object: AnyObject, writer: Writer): void {
  const before = ownersBefore(target, live, object);
  delete object.metadata.managedFields;
  if (before.size === 0 && live) return;
  let managers = before;
  try {
    managers = updateOwners(target, live ?? {}, object, before, writer);
  } catch (error) {
    // An item without its key has no place in the sets; the reference then leaves the owners as they are, and lets validation judge.
    if (!(error instanceof PathElementError)) throw error;
  }
  if (managers.size > 0) object.metadata.managedFields = encodeManagers(managers);
}

function ownersBefore({ subresource }: FieldTarget, live: AnyObject | undefined, object: AnyObject): Managers {
  const standing = (): Managers => decodeManagers(live?.metadata.managedFields) ?? new Map();
  const given = object.metadata.managedFields;
  if (subresource || given === undefined) return standing();
  const isReset = given.length === 0 || (given.length === 1 && Object.keys(given[0]!).length === 0);
  if (isReset) return new Map();
  const managers = decodeManagers(given);
  return managers && managers.size > 0 ? managers : standing();
}

function updateOwners(target: FieldTarget, live: JsonObject, object: JsonObject, before: Managers, { manager, now }: Writer): Managers {
  const scheme = schemeOf(target);
  const { managers, owned } = update(scheme, live, object, before);
  const set = difference(owned, unowned);
  if (set.size > 0) {
    const self = {
      name: manager || 'unknown',
      operation: 'Update',
      apiVersion: scheme.apiVersion,
      subresource: target.subresource,
    } as const;
    const id = identifierOf(self);
    managers.set(id, { ...self, time: now, set: union(set, managers.get(id)?.set ?? noFields) });
  }
  capUpdaters(managers);
  return managers;
}

/**
 * Applies a configuration to the live object, undefined when there is none. Gives the object with its new managedFields, not yet defaulted; nothing
 * given is changed.
 *
 * @throws ApplyRequestError, ConfigurationError, ApplyConflictError.
 */
export function applyConfiguration(
  target: FieldTarget,
  live: AnyObject | undefined,
  configuration: JsonObject,
  writer: Writer,
  force: boolean,
): AnyObject {
  checkRequest(target, configuration);
  const scheme = schemeOf(target);
  const standing: JsonObject = live ?? {};
  let before: Managers = decodeManagers(live?.metadata.managedFields) ?? new Map();
  if (before.size === 0 && live) before = updateOwners(target, {}, standing, before, { ...writer, manager: beforeFirstApply });

  const self: Omit<Manager, 'set' | 'time'> = {
    name: writer.manager || 'unknown',
    operation: 'Apply',
    apiVersion: scheme.apiVersion,
    subresource: target.subresource,
  };
  const id = identifierOf(self);
  const run = (forced: boolean) =>
    apply(scheme, standing, configuration, before, { id, manager: { ...self, time: before.get(id)?.time } }, forced);
  const { object, managers, changed } = writer.manager === 'kubectl' ? takingOver(run, force, scheme, standing) : run(force);

  const own = managers.get(id);
  const set = own ? difference(own.set, unowned) : noFields;
  if (!own || set.size === 0) managers.delete(id);
  else {
    managers.set(id, { ...own, set });
    if (changed || !sameOwners(before, managers)) managers.set(id, { ...own, set, time: writer.now });
  }
  return withManagers(writer.manager === 'kubectl' ? keepLastApplied(object, configuration) : object, managers);
}

const sameOwners = (before: Managers, after: Managers): boolean =>
  before.size === after.size && [...after].every(([id, { set }]) => equalSets(set, before.get(id)?.set ?? noFields));

function checkRequest(target: FieldTarget, configuration: JsonObject): void {
  const { group, version, kind, schema } = target;
  const expected = printKind(apiVersionOf({ group, version }), kind);
  const given = printKind(configuration['apiVersion'], configuration['kind']);
  if (given !== expected) throw new ApplyRequestError(`invalid object type: ${given}`);
  const metadata = isObject(configuration['metadata']) ? configuration['metadata'] : {};
  if (Array.isArray(metadata['managedFields'])) throw new ApplyRequestError('metadata.managedFields must be nil');
  try {
    checkConfiguration(structureOf(schema), configuration);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    const { namespace = '', name = '' } = metadata;
    throw new ConfigurationError(
      `failed to create typed patch object (${String(namespace)}/${String(name)}; ${expected}): ${error.message}`,
    );
  }
}

/** `apps/v1, Kind=Deployment`, as Go prints a GroupVersionKind. */
function printKind(apiVersion: unknown, kind: unknown): string {
  const text = typeof apiVersion === 'string' ? apiVersion : '';
  return `${text.includes('/') ? text : `/${text}`}, Kind=${typeof kind === 'string' ? kind : ''}`;
}

/**
 * kubectl's own apply takes over from its client-side apply without a conflict: what the last-applied annotation holds with the value that stands is
 * kubectl's already.
 */
function takingOver<T>(run: (force: boolean) => T, force: boolean, scheme: Scheme, live: JsonObject): T {
  try {
    return run(force);
  } catch (error) {
    const allowed = error instanceof ApplyConflictError ? lastAppliedFields(scheme, live) : undefined;
    if (!allowed) throw error;
    const rest = (error as ApplyConflictError).without(allowed);
    if (rest) throw rest;
    return run(true);
  }
}

function withManagers(object: JsonObject, managers: Managers): AnyObject {
  const { managedFields: _managedFields, ...metadata } = isObject(object['metadata']) ? object['metadata'] : {};
  const result = { ...object, metadata } as unknown as AnyObject;
  if (managers.size > 0) result.metadata.managedFields = encodeManagers(managers);
  return result;
}
