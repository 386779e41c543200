import { randomUUID } from 'node:crypto';
import type { AnyObject, KindDeclaration } from '../../objects/index.ts';
import { admitAll } from '../admission/admission.ts';
import { storeKey, toStoredJson, withResourceVersion } from '../cached-object.ts';
import { alreadyExists, badRequest, invalid, StatusError } from '../status-errors.ts';
import { maxTries, type Registry, runExclusively, timestamp, type WriteContext, type WriteResult } from './registry.ts';

/**
 * Stores a new object. `object` has passed the schema; it is changed. A generated name that is taken is generated again.
 * @throws StatusError 400, 403, 404 (namespace), 409 AlreadyExists, 422.
 */
export function createObject(
  registry: Registry,
  kind: KindDeclaration,
  namespace: string,
  object: AnyObject,
  context: WriteContext,
): Promise<WriteResult> {
  return runExclusively(registry, kind, () => create(registry, kind, namespace, object, context));
}

async function create(
  registry: Registry,
  kind: KindDeclaration,
  namespace: string,
  template: AnyObject,
  context: WriteContext,
): Promise<WriteResult> {
  const { resource } = kind;
  if (template.metadata.resourceVersion) throw badRequest('resourceVersion should not be set on objects to be created');
  const generated = !template.metadata.name && template.metadata.generateName;
  for (let attempt = 0; attempt < maxTries; attempt++) {
    const object = structuredClone(template);
    if (generated) object.metadata.name = generateName(template.metadata.generateName!, registry.random);
    fillMetadata(object, namespace, registry);
    kind.applyDefaults(object);
    kind.prepareForCreate(object);
    const name = object.metadata.name ?? '';
    const conditions = admitAll(registry.admission, {
      operation: 'CREATE',
      kind,
      namespace,
      name,
      subresource: '',
      user: context.user,
      object,
    });
    const ready = validated(registry, kind, object);
    const key = storeKey(resource, namespace, name);
    const stored = toStoredJson(ready, resource);
    const taken = registry.cache.of(kind).get(key);
    if (!taken && context.dryRun) return { json: stored, name };
    const outcome = taken
      ? undefined
      : await registry.store.commit({ conditions: [{ key, modRevision: 0 }, ...conditions], writes: [{ put: { key, value: stored } }] });
    if (outcome?.ok) return { json: withResourceVersion(stored, outcome.revision), name };
    // Either the name is taken, or the namespace changed under us and admission has to look again.
    if (!generated && registry.cache.of(kind).get(key)) throw alreadyExists(resource, name);
  }
  throw new StatusError({ code: 500, reason: 'ServerTimeout', message: `could not create a ${resource.kind}: too much contention` });
}

function validated(registry: Registry, kind: KindDeclaration, object: AnyObject): AnyObject {
  const name = object.metadata.name ?? '';
  const causes = kind.validate(object, undefined);
  if (causes.length > 0) throw invalid(kind, name, causes);
  const allocated = registry.allocators.get(kind.resource.plural)?.allocate(object, undefined);
  if (allocated && allocated.causes.length > 0) throw invalid(kind, name, allocated.causes);
  return allocated?.object ?? object;
}

function fillMetadata({ metadata }: AnyObject, namespace: string, { clock }: Registry): void {
  if (namespace) {
    metadata.namespace ||= namespace;
    if (metadata.namespace !== namespace)
      throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  metadata.uid = randomUUID();
  metadata.creationTimestamp = timestamp(clock);
  for (const field of ['deletionTimestamp', 'deletionGracePeriodSeconds', 'selfLink', 'managedFields'])
    delete (metadata as unknown as Record<string, unknown>)[field];
}

/** Letters and digits that make no words and are not mixed up (apimachinery's util/rand). */
const suffixLetters = 'bcdfghjklmnpqrstvwxz2456789';

/** The prefix and five random characters, within the 63 characters that most names may have. */
function generateName(prefix: string, random: () => number): string {
  const suffix = Array.from({ length: 5 }, () => suffixLetters[Math.floor(random() * suffixLetters.length)]).join('');
  return prefix.slice(0, 63 - suffix.length) + suffix;
}
