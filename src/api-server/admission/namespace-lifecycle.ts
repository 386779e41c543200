import { resources } from '../../objects/index.ts';
import type { CachedObject } from '../cached-object.ts';
import { forbidden, notFound } from '../status-errors.ts';
import type { AdmissionPlugin } from './admission.ts';

/** Namespaces that the cluster cannot do without. */
const immortal: ReadonlySet<string> = new Set(['default', 'kube-system', 'kube-public']);

/**
 * Nothing is created in a namespace that does not exist or that is going; the system's namespaces cannot be deleted (the reference's
 * NamespaceLifecycle). The write is conditional on the namespace as it was seen, so nothing slips in while it is deleted.
 */
export const namespaceLifecycle = (findNamespace: (name: string) => CachedObject | undefined): AdmissionPlugin => ({
  name: 'NamespaceLifecycle',
  admit({ operation, kind, namespace, name, subresource }) {
    if (operation === 'DELETE' && kind.resource.plural === 'namespaces' && immortal.has(name)) {
      throw forbidden(kind.resource, name, 'this namespace may not be deleted');
    }
    if (operation !== 'CREATE' || !namespace || subresource) return [];
    const found = findNamespace(namespace);
    if (!found) throw notFound(resources.namespaces, namespace);
    if (found.isTerminating) {
      throw forbidden(kind.resource, name, `unable to create new content in namespace ${namespace} because it is being terminated`, [
        { reason: 'NamespaceTerminating', message: `namespace ${namespace} is being terminated`, field: 'metadata.namespace' },
      ]);
    }
    return [{ key: found.key, modRevision: found.revision }];
  },
});
