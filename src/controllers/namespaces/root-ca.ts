import { type ConfigMap, resources } from '../../objects/client.ts';
import { type Controller, nothing, watch } from '../controller.ts';
import { isDeleting } from '../metadata.ts';

const name = 'kube-root-ca.crt';

/** Publishes the cluster's certificate authority (PEM) in each namespace, where pods find what to verify the API server with. */
export const rootCaController = (certificate: string): Controller => ({
  name: 'root_ca_cert_publisher',
  component: 'root-ca-cert-publisher',
  workers: 4,
  watches: [
    watch(resources.namespaces, (_before, after) => (after ? [after.metadata.name] : [])),
    watch(resources.configMaps, (before, after) => {
      const { metadata } = (after ?? before)!;
      return metadata.name === name ? [metadata.namespace!] : [];
    }),
  ],
  reconcile(key, view) {
    const namespace = view.get(resources.namespaces, key);
    if (!namespace || isDeleting(namespace)) return nothing;
    const published = view.get(resources.configMaps, `${key}/${name}`);
    const data = { 'ca.crt': certificate };
    if (!published) {
      const annotations = {
        'kubernetes.io/description': 'The certificate authority that the API server of this cluster is verified with.',
      };
      const object: ConfigMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: key, annotations }, data };
      return { actions: [{ do: 'create', resource: resources.configMaps, object }] };
    }
    if (published.data?.['ca.crt'] === certificate && Object.keys(published.data).length === 1) return nothing;
    return { actions: [{ do: 'update', resource: resources.configMaps, object: { ...published, data } as ConfigMap }] };
  },
});
