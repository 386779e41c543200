import { type AnyObject, kinds, type KindDeclaration, resources, type Resource } from '../objects/index.ts';
import { apiServerUser } from './access.ts';
import { storeKey } from './cached-object.ts';
import { createObject } from './registry/create.ts';
import type { Registry, WriteContext } from './registry/registry.ts';
import { updateObject } from './registry/update.ts';
import { StatusError } from './status-errors.ts';

const systemNamespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];
const context: WriteContext = { user: apiServerUser, dryRun: false };

export const kindOf = (resource: Pick<Resource, 'plural'>): KindDeclaration =>
  kinds.find((kind) => kind.resource.plural === resource.plural)!;

/** Creates the namespaces that every cluster has. */
export async function ensureSystemNamespaces(registry: Registry): Promise<void> {
  await Promise.all(
    systemNamespaces.map((name) =>
      ensure(registry, kindOf(resources.namespaces), '', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }),
    ),
  );
}

/** Creates the object unless it exists. */
async function ensure(registry: Registry, kind: KindDeclaration, namespace: string, object: AnyObject): Promise<void> {
  if (registry.cache.of(kind).get(storeKey(kind.resource, namespace, object.metadata.name))) return;
  try {
    await createObject(registry, kind, namespace, object, context);
  } catch (error) {
    if (!(error instanceof StatusError && error.status.reason === 'AlreadyExists')) throw error;
  }
}

/** Creates the object, or makes the fields of `object` what they are in it. Writes nothing when they are already. */
export async function ensureFields(registry: Registry, kind: KindDeclaration, namespace: string, object: AnyObject): Promise<void> {
  await ensure(registry, kind, namespace, structuredClone(object));
  const { metadata, ...fields } = object;
  await updateObject(
    registry,
    {
      kind,
      namespace,
      name: metadata.name,
      subresource: '',
      change: (current) => ({
        ...current,
        ...structuredClone(fields),
        metadata: { ...current.metadata, labels: { ...current.metadata.labels, ...metadata.labels } },
      }),
      prepare: (next, old) => kind.prepareForUpdate(next, old),
    },
    context,
  );
}
