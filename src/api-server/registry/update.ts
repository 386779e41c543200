import { isDeepStrictEqual } from 'node:util';
import {
  type AnyObject,
  copyJson,
  fieldTargetOf,
  keepIdleTimes,
  type KindDeclaration,
  type Resource,
  trackUpdate,
} from '../../objects/index.ts';
import { admitAll } from '../admission/admission.ts';
import { type CachedObject, storeKey, toStoredJson, withResourceVersion } from '../cached-object.ts';
import { badRequest, conflict, invalid, modified, notFound } from '../status-errors.ts';
import { storageKind, viewedResult } from './viewed.ts';
import {
  maxTries,
  ownManager,
  type Owners,
  type Registry,
  runWrite,
  stillStands,
  timestamp,
  type WriteContext,
  type WriteResult,
} from './registry.ts';

export interface Update {
  readonly kind: KindDeclaration;
  readonly namespace: string;
  readonly name: string;
  readonly subresource: string;
  /** From the object as it stands (a copy, which may be changed) to what it is to be. Called again when another write came first. */
  change(current: AnyObject): AnyObject | Promise<AnyObject>;
  /** What of the change counts; the kind's prepareForUpdate for the object itself. */
  prepare(object: AnyObject, old: AnyObject): void;
  /** `tracked` unless told. */
  readonly owners?: Owners;
}

/**
 * Changes an object. A resourceVersion in what `change` returns must be the standing one.
 * @throws StatusError 400, 404, 409, 422.
 */
export function updateObject(registry: Registry, update: Update, context: WriteContext): Promise<WriteResult> {
  const { kind, change } = update;
  const { storedAs } = kind;
  if (storedAs) {
    const stored: Update = {
      ...update,
      kind: storageKind(kind, storedAs),
      owners: 'given',
      change: async (current) => {
        const old = storedAs.fromStored(current);
        const object = await change(copyJson(old));
        if (update.owners !== 'given') track(registry, update, object, old, context);
        return storedAs.toStored(object);
      },
    };
    return updateObject(registry, stored, context).then((result) => viewedResult(result, storedAs));
  }
  return runWrite(registry, kind, () => run(registry, update, context));
}

async function run(registry: Registry, update: Update, context: WriteContext): Promise<WriteResult> {
  const { kind, namespace, name } = update;
  const key = storeKey(kind.resource, namespace, name);
  for (let attempt = 0; attempt < maxTries; attempt++) {
    const standing = registry.cache.of(kind).get(key);
    if (!standing) throw notFound(kind.resource, name);
    const { object, old, conditions, writes } = await nextState(registry, update, standing, context);
    keepIdleTimes(object, old);
    const stored = toStoredJson(object, kind.resource);
    if (isUnchanged(stored, standing)) {
      if (await stillStands(registry, kind, standing)) return { json: standing.json, name };
      continue;
    }
    if (context.dryRun) return { json: withResourceVersion(stored, standing.revision), name };
    const write = isGone(object) ? { delete: { key } } : { put: { key, value: stored } };
    const outcome = await registry.store.commit({
      conditions: [{ key, modRevision: standing.revision }, ...conditions],
      writes: [write, ...writes],
    });
    if (outcome.ok) return { json: withResourceVersion(stored, outcome.revision), name };
  }
  throw modified(kind.resource, name);
}

async function nextState(registry: Registry, update: Update, standing: CachedObject, context: WriteContext) {
  const { kind, namespace, name, subresource, change, prepare, owners } = update;
  const { user } = context;
  const old = standing.parse();
  const object = await change(standing.parse());
  checkIdentity(object, old, kind);
  kind.applyDefaults(object);
  if (owners !== 'given') track(registry, update, object, old, context);
  prepare(object, old);
  const conditions = admitAll(registry.admission, { operation: 'UPDATE', kind, namespace, name, subresource, user, object, old });
  const causes = kind.validate(object, old);
  if (causes.length > 0) throw invalid(kind, name, causes);
  const allocated = registry.allocators.get(kind.resource.plural)?.allocate(object, old);
  if (allocated && allocated.causes.length > 0) throw invalid(kind, name, allocated.causes);
  return {
    object: allocated?.object ?? object,
    old,
    conditions: [...conditions, ...(allocated?.conditions ?? [])],
    writes: allocated?.writes ?? [],
  };
}

/** Before the kind has its say: what it resets, and what is allocated, nobody owns. */
function track(
  registry: Registry,
  { kind, subresource }: Update,
  object: AnyObject,
  old: AnyObject,
  { manager = ownManager }: WriteContext,
): void {
  trackUpdate(fieldTargetOf(kind, subresource), old, object, { manager, now: timestamp(registry.clock) });
}

/** The object must be the one that stands; what it leaves out of the system's metadata is filled in. */
function checkIdentity({ metadata }: AnyObject, { metadata: old }: AnyObject, { resource, needsResourceVersion }: KindDeclaration): void {
  if (metadata.name && metadata.name !== old.name) {
    throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${old.name})`);
  }
  if (metadata.namespace && metadata.namespace !== old.namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  if (!metadata.resourceVersion && needsResourceVersion) throw missingRevision(resource, old.name);
  if (metadata.resourceVersion && metadata.resourceVersion !== old.resourceVersion) throw modified(resource, old.name);
  if (metadata.uid && metadata.uid !== old.uid) {
    throw conflict(resource, old.name, `Precondition failed: UID in precondition: ${metadata.uid}, UID in object meta: ${old.uid}`);
  }
  const target = metadata as unknown as Record<string, unknown>;
  for (const field of [
    'name',
    'namespace',
    'generateName',
    'uid',
    'creationTimestamp',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
  ] as const) {
    if (target[field] === undefined && old[field] !== undefined) target[field] = old[field];
  }
  delete target['selfLink'];
}

/** The reference names the resource where it names a kind elsewhere. */
const missingRevision = (resource: Resource, name: string) =>
  invalid({ resource: { ...resource, kind: resource.plural } }, name, [
    { reason: 'FieldValueInvalid', message: 'Invalid value: 0x0: must be specified for an update', field: 'metadata.resourceVersion' },
  ]);

/** Deletion has begun, its grace period is over and nobody holds the object any more. */
export function isGone({ kind, metadata, spec }: AnyObject): boolean {
  if (!metadata.deletionTimestamp || metadata.deletionGracePeriodSeconds || (metadata.finalizers?.length ?? 0) > 0) return false;
  return kind !== 'Namespace' || (spec?.finalizers?.length ?? 0) === 0;
}

function isUnchanged(stored: string, standing: CachedObject): boolean {
  return stored === standing.stored || isDeepStrictEqual(JSON.parse(stored), JSON.parse(standing.stored));
}
