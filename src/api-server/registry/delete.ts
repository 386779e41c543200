import { type AnyObject, copyJson, type KindDeclaration } from '../../objects/index.ts';
import { admitAll } from '../admission/admission.ts';
import { storeKey, toStoredJson, withResourceVersion } from '../cached-object.ts';
import { conflict, modified, notFound } from '../status-errors.ts';
import { finalizersFor, gracePeriodFor, type DeleteOptions } from './deletion-rules.ts';
import { maxTries, type Registry, runWrite, stillStands, timestamp, type WriteContext } from './registry.ts';
import { isGone } from './update.ts';
import { viewedResult, storageKind } from './viewed.ts';

export interface DeleteResult {
  /** The object as it is now, or as it was when it went. */
  readonly object: AnyObject;
  readonly json: string;
  /** Whether it is gone; else its deletion has begun. */
  readonly gone: boolean;
}

/**
 * Deletes an object, or begins to: finalizers and grace periods keep it until others let go.
 * @throws StatusError 403, 404, 409.
 */
export async function deleteObject(
  registry: Registry,
  kind: KindDeclaration,
  namespace: string,
  name: string,
  options: DeleteOptions,
  context: WriteContext,
): Promise<DeleteResult> {
  const { storedAs } = kind;
  if (storedAs) {
    const result = await deleteObject(registry, storageKind(kind, storedAs), namespace, name, options, context);
    return viewedResult({ ...result, object: storedAs.fromStored(result.object) }, storedAs);
  }
  return runWrite(registry, kind, () => run(registry, kind, namespace, name, options, context));
}

async function run(
  registry: Registry,
  kind: KindDeclaration,
  namespace: string,
  name: string,
  options: DeleteOptions,
  context: WriteContext,
): Promise<DeleteResult> {
  const { resource } = kind;
  const key = storeKey(resource, namespace, name);
  for (let attempt = 0; attempt < maxTries; attempt++) {
    const standing = registry.cache.of(kind).get(key);
    if (!standing) throw notFound(resource, name);
    const old = standing.parse();
    const conditions = admitAll(registry.admission, {
      operation: 'DELETE',
      kind,
      namespace,
      name,
      subresource: '',
      user: context.user,
      object: undefined,
    });
    checkPreconditions(kind, old, options);
    const next = beginDeletion(registry, kind, old, options);
    const gone = isGone(next);
    const stored = toStoredJson(next, resource);
    if (!gone && stored === standing.stored) {
      if (await stillStands(registry, kind, standing)) return { object: old, json: standing.json, gone: false };
      continue;
    }
    if (context.dryRun) return { object: old, json: standing.json, gone };
    const outcome = await registry.store.commit({
      conditions: [{ key, modRevision: standing.revision }, ...conditions],
      writes: [gone ? { delete: { key } } : { put: { key, value: stored } }],
    });
    if (outcome.ok) return { object: next, json: withResourceVersion(stored, outcome.revision), gone };
  }
  throw modified(resource, name);
}

function checkPreconditions({ resource }: KindDeclaration, { metadata }: AnyObject, { preconditions }: DeleteOptions): void {
  const { uid, resourceVersion } = preconditions ?? {};
  // The reference names the kind where it names the resource elsewhere.
  const named = { ...resource, plural: resource.kind };
  if (uid !== undefined && uid !== metadata.uid) {
    const why = `the UID in the precondition (${uid}) does not match the UID in record (${metadata.uid}). The object might have been deleted and then recreated`;
    throw conflict(named, metadata.name, why);
  }
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    const why = `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${metadata.resourceVersion}). The object might have been modified`;
    throw conflict(named, metadata.name, why);
  }
}

/** The object with its deletion begun, or brought further (the reference's BeforeDelete). */
function beginDeletion({ clock }: Registry, kind: KindDeclaration, old: AnyObject, options: DeleteOptions): AnyObject {
  const next = copyJson(old);
  const { metadata } = next;
  const finalizers = finalizersFor(metadata.finalizers ?? [], options);
  if (finalizers.length > 0) metadata.finalizers = finalizers;
  else delete metadata.finalizers;
  const asked = gracePeriodFor(kind, next, options);
  if (!metadata.deletionTimestamp) {
    metadata.deletionTimestamp = timestamp(clock, asked);
    metadata.deletionGracePeriodSeconds = asked;
    // Whoever acts on the spec must take note of the deletion too.
    if (metadata.generation) metadata.generation++;
  } else if (asked < (metadata.deletionGracePeriodSeconds ?? 0) && (options.gracePeriodSeconds !== undefined || asked === 0)) {
    const began = Date.parse(metadata.deletionTimestamp) - (metadata.deletionGracePeriodSeconds ?? 0) * 1_000;
    metadata.deletionTimestamp = new Date(began + asked * 1_000).toISOString().replace(/\.\d+Z$/, 'Z');
    metadata.deletionGracePeriodSeconds = asked;
  }
  if (kind.resource.plural === 'namespaces') beginNamespaceDeletion(next, old, kind);
  return next;
}

function beginNamespaceDeletion(next: AnyObject, old: AnyObject, { resource }: KindDeclaration): void {
  if (old.metadata.deletionTimestamp && !isGone(next)) {
    throw conflict(
      resource,
      next.metadata.name,
      'The system is ensuring all content is removed from this namespace.  Upon completion, this namespace will automatically be purged by the system.',
    );
  }
  // What deletes a namespace's content looks at the namespace alone; it is not told of a grace period.
  delete next.metadata.deletionGracePeriodSeconds;
  next.status = { ...next.status, phase: 'Terminating' };
}
