import { type ConfigMap, type Namespace, resources, type Resource, type ServiceAccount } from '../objects/client.ts';
import type { Action } from './action.ts';
import { type Controller, nothing, type Outcome, watch } from './controller.ts';
import { isDeleting } from './metadata.ts';
import type { ClusterView } from './view.ts';

export interface NamespaceOptions {
  /** PEM of the cluster's certificate authority, published in every namespace; undefined publishes none. */
  readonly rootCertificate: string | undefined;
}

const namespaced: readonly Resource[] = Object.values(resources).filter(({ namespaced }) => namespaced);
/** What goes last: what happens to the others on their way out is told in Events. */
const ordered: readonly Resource[] = [...namespaced].sort((a, b) => Number(a.plural === 'events') - Number(b.plural === 'events'));
/** Everything in a namespace whose going may complete its deletion. Events are many and wake nobody. */
const waking = namespaced.filter(({ plural }) => plural !== 'events');

/** Puts into each namespace what pods in it rely on, and empties and finalizes those that are being deleted. */
export const namespaceController = ({ rootCertificate }: NamespaceOptions): Controller => ({
  name: 'namespace',
  component: 'namespace-controller',
  workers: 4,
  watches: [
    watch(resources.namespaces, (before, after) => [(after ?? before)!.metadata.name]),
    ...waking.map((resource) =>
      watch(resource, (before, after, view) => {
        const { name, namespace = '' } = (after ?? before)!.metadata;
        const providesFor =
          resource.plural === 'serviceaccounts' ? name === 'default' : resource.plural === 'configmaps' && name === rootConfigMap;
        if (providesFor) return [namespace];
        return after || !isDeleting(view.get(resources.namespaces, namespace) ?? alive) ? [] : [namespace];
      }),
    ),
  ],
  reconcile(name, view) {
    const namespace = view.get(resources.namespaces, name);
    if (!namespace) return nothing;
    return isDeleting(namespace) ? empty(namespace) : { actions: provide(name, view, rootCertificate) };
  },
});

const alive: Namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: '' } };
const rootConfigMap = 'kube-root-ca.crt';

function provide(namespace: string, view: ClusterView, rootCertificate: string | undefined): Action[] {
  const actions: Action[] = [];
  if (!view.get(resources.serviceAccounts, `${namespace}/default`)) {
    const object: ServiceAccount = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace } };
    actions.push({ do: 'create', resource: resources.serviceAccounts, object });
  }
  if (rootCertificate === undefined) return actions;
  const published = view.get(resources.configMaps, `${namespace}/${rootConfigMap}`);
  const data = { 'ca.crt': rootCertificate };
  if (!published) {
    const annotations = { 'kubernetes.io/description': 'The certificate authority that the API server of this cluster is verified with.' };
    const object: ConfigMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: rootConfigMap, namespace, annotations }, data };
    actions.push({ do: 'create', resource: resources.configMaps, object });
  } else if (published.data?.['ca.crt'] !== rootCertificate || Object.keys(published.data).length !== 1) {
    actions.push({ do: 'update', resource: resources.configMaps, object: { ...published, data } as ConfigMap });
  }
  return actions;
}

/** Deletes all that is in it; lets it go only when the API server itself finds nothing left. */
function empty(namespace: Namespace): Outcome {
  const { name } = namespace.metadata;
  if (!namespace.spec?.finalizers?.includes('kubernetes')) return nothing;
  const finalized: Namespace = {
    ...namespace,
    spec: { ...namespace.spec, finalizers: namespace.spec.finalizers.filter((finalizer) => finalizer !== 'kubernetes') },
  };
  return {
    actions: [
      ...ordered.map((resource): Action => ({ do: 'deleteAll', resource, namespace: name })),
      {
        do: 'update',
        resource: resources.namespaces,
        object: finalized,
        subresource: 'finalize',
        guards: ordered.map((resource) => ({ is: 'empty', resource, namespace: name })),
      },
    ],
  };
}
