import { randomUUID } from 'node:crypto';
import { type AnyObject, copyJson, fieldTargetOf, type KindDeclaration, trackUpdate } from '../../objects/index.ts';
import { admitAll, waitForAll } from '../admission/admission.ts';
import { storeKey, toStoredJson, withResourceVersion } from '../cached-object.ts';
import { alreadyExists, badRequest, invalid, StatusError } from '../status-errors.ts';
import { generateName } from './generated-name.ts';
import { storageKind, viewedResult } from './viewed.ts';
import {
  type Allocation,
  maxTries,
  ownManager,
  type Owners,
  type Registry,
  runWrite,
  timestamp,
  type WriteContext,
  type WriteResult,
} from './registry.ts';

/**
 * Stores a new object. `object` has passed the schema; it is changed. `owners` tells whether its managedFields are made here. A generated name that is taken is generated again.
 * @throws StatusError 400, 403, 404 (namespace), 409 AlreadyExists, 422.
 */
export function createObject(
  registry: Registry,
  kind: KindDeclaration,
  namespace: string,
  object: AnyObject,
  context: WriteContext,
  owners: Owners = 'tracked',
): Promise<WriteResult> {
  const { storedAs } = kind;
  if (storedAs) {
    if (owners === 'tracked') track(registry, kind, object, context);
    const stored = createObject(registry, storageKind(kind, storedAs), namespace, storedAs.toStored(object), context, 'given');
    return stored.then((result) => viewedResult(result, storedAs));
  }
  return runWrite(registry, kind, () => create(registry, kind, namespace, object, context, owners));
}

async function create(
  registry: Registry,
  kind: KindDeclaration,
  namespace: string,
  template: AnyObject,
  context: WriteContext,
  owners: Owners,
): Promise<WriteResult> {
  const { resource } = kind;
  if (template.metadata.resourceVersion) throw badRequest('resourceVersion should not be set on objects to be created');
  await waitForAll(registry.admission, { kind, namespace, object: template });
  const generated = !template.metadata.name && template.metadata.generateName;
  for (let attempt = 0; attempt < maxTries; attempt++) {
    const object = copyJson(template);
    if (generated) object.metadata.name = generateName(template.metadata.generateName!, registry.random);
    fillMetadata(object, namespace, registry);
    kind.applyDefaults(object);
    if (owners === 'tracked') track(registry, kind, object, context);
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
    const allocation = validated(registry, kind, object);
    const ready = allocation?.object ?? object;
    const key = storeKey(resource, namespace, name);
    const stored = toStoredJson(ready, resource);
    const taken = registry.cache.of(kind).get(key);
    if (!taken && context.dryRun) return { json: stored, name };
    const outcome = taken
      ? undefined
      : await registry.store.commit({
          conditions: [{ key, modRevision: 0 }, ...conditions, ...(allocation?.conditions ?? [])],
          writes: [{ put: { key, value: stored } }, ...(allocation?.writes ?? [])],
        });
    if (outcome?.ok) return { json: withResourceVersion(stored, outcome.revision), name };
    // Either the name is taken, or the namespace changed under us and admission has to look again.
    if (!generated && registry.cache.of(kind).get(key)) throw alreadyExists(resource, name);
  }
  throw new StatusError({ code: 500, reason: 'ServerTimeout', message: `could not create a ${resource.kind}: too much contention` });
}

function validated(registry: Registry, kind: KindDeclaration, object: AnyObject): Allocation | undefined {
  const name = object.metadata.name ?? '';
  const causes = kind.validate(object, undefined);
  if (causes.length > 0) throw invalid(kind, name, causes);
  const allocated = registry.allocators.get(kind.resource.plural)?.allocate(object, undefined);
  if (allocated && allocated.causes.length > 0) throw invalid(kind, name, allocated.causes);
  return allocated;
}

/** Before the kind has its say: what it sets, what admission adds and what is allocated, nobody owns. */
function track(registry: Registry, kind: KindDeclaration, object: AnyObject, { manager = ownManager }: WriteContext): void {
  trackUpdate(fieldTargetOf(kind, ''), undefined, object, { manager, now: timestamp(registry.clock) });
}

function fillMetadata({ metadata }: AnyObject, namespace: string, { clock }: Registry): void {
  if (namespace) {
    metadata.namespace ||= namespace;
    if (metadata.namespace !== namespace)
      throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  } else delete metadata.namespace;
  metadata.uid = randomUUID();
  metadata.creationTimestamp = timestamp(clock);
  for (const field of ['deletionTimestamp', 'deletionGracePeriodSeconds', 'selfLink'])
    delete (metadata as unknown as Record<string, unknown>)[field];
}
