import { resources, type ServiceAccount } from '../../objects/client.ts';
import { type Controller, nothing, watch } from '../controller.ts';
import { isDeleting } from '../metadata.ts';

const name = 'default';

/** Keeps the ServiceAccount `default` in each namespace: pods that name none run as it, and are refused before it is there. */
export const serviceAccountController: Controller = {
  name: 'serviceaccount',
  component: 'serviceaccount-controller',
  workers: 4,
  watches: [
    watch(resources.namespaces, (_before, after) => (after ? [after.metadata.name] : [])),
    watch(resources.serviceAccounts, (before, after) =>
      before && !after && before.metadata.name === name ? [before.metadata.namespace!] : [],
    ),
  ],
  reconcile(key, view) {
    const namespace = view.get(resources.namespaces, key);
    if (!namespace || isDeleting(namespace) || view.get(resources.serviceAccounts, `${key}/${name}`)) return nothing;
    const object: ServiceAccount = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace: key } };
    return { actions: [{ do: 'create', resource: resources.serviceAccounts, object }] };
  },
};
