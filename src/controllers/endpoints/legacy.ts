import { type Endpoints, objectKey, type Pod, resources, type Service, toTime } from '../../objects/client.ts';
import type { Action } from '../action.ts';
import { type Controller, nothing, type Outcome, watch } from '../controller.ts';
import { canonicalJson, sameMeaning } from '../equal.ts';
import { isDeleting, without } from '../metadata.ts';
import type { ClusterView } from '../view.ts';
import { familiesOf, hasEndpoints, isHeadless, type PodEndpoint, podEndpoint, podsBehind } from './pod-endpoints.ts';
import { serviceWatches } from './service-watches.ts';
import { headlessLabel, triggerTimeAnnotation } from './slices.ts';

type Subset = NonNullable<Endpoints['subsets']>[number];
type Address = NonNullable<Subset['addresses']>[number];

const managedByLabel = 'endpoints.kubernetes.io/managed-by';
const overCapacity = 'endpoints.kubernetes.io/over-capacity';
const maxAddresses = 1_000;

/** The old v1 Endpoints beside the slices, in the service's primary family, for clients that still read them. */
export const endpointsController: Controller = {
  name: 'endpoint',
  component: 'endpoint-controller',
  workers: 8,
  watches: [...serviceWatches, watch(resources.endpoints, (before, after) => [objectKey((after ?? before)!)])],
  reconcile(key, view) {
    const service = view.get(resources.services, key);
    if (service) return hasEndpoints(service) && !isDeleting(service) ? reconcileEndpoints(service, view) : nothing;
    const left = view.get(resources.endpoints, key);
    // Only our own: someone may make Endpoints before the Service.
    return left?.metadata.labels?.[managedByLabel] && !isDeleting(left)
      ? { actions: [{ do: 'delete', resource: resources.endpoints, object: left }] }
      : nothing;
  },
};

function reconcileEndpoints(service: Service, view: ClusterView): Outcome {
  const [family = 4] = familiesOf(service);
  const { publishNotReadyAddresses = false } = service.spec;
  const pods = podsBehind(service, view).filter((pod) => publishNotReadyAddresses || !isDeleting(pod));
  const found = pods.flatMap((pod) => {
    const endpoint = podEndpoint(service, pod, family, view);
    return endpoint ? [{ pod, endpoint }] : [];
  });
  const truncated = found.length > maxAddresses;
  const subsets = subsetsOf(found.slice(0, maxAddresses));
  const key = objectKey(service);
  const before = view.get(resources.endpoints, key);
  const labels = {
    ...without(service.metadata.labels, headlessLabel),
    [managedByLabel]: 'endpoint-controller',
    ...(isHeadless(service) ? { [headlessLabel]: '' } : {}),
  };
  const annotated = before?.metadata.annotations?.[overCapacity] === 'truncated';
  if (before && sameMeaning(before.subsets, subsets) && sameMeaning(before.metadata.labels, labels) && annotated === truncated)
    return nothing;
  const annotations = {
    ...without(before?.metadata.annotations, overCapacity),
    [triggerTimeAnnotation]: toTime(view.now),
    ...(truncated ? { [overCapacity]: 'truncated' } : {}),
  };
  const { name, namespace = 'default' } = service.metadata;
  const metadata = { ...(before?.metadata ?? { name, namespace }), labels, annotations };
  const object: Endpoints = { apiVersion: 'v1', kind: 'Endpoints', metadata, subsets };
  const action: Action = before
    ? { do: 'update', resource: resources.endpoints, object }
    : { do: 'create', resource: resources.endpoints, object };
  return { actions: [action] };
}

/** Addresses with the same ports in one subset, ready and not ready apart. */
function subsetsOf(found: readonly { readonly pod: Pod; readonly endpoint: PodEndpoint }[]): Subset[] {
  const byPorts = Map.groupBy(found, ({ endpoint }) => canonicalJson(endpoint.ports));
  return [...byPorts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, members]) => {
      const ready = members.filter(({ endpoint }) => endpoint.endpoint.conditions?.ready).map(toAddress);
      const notReady = members.filter(({ endpoint }) => !endpoint.endpoint.conditions?.ready).map(toAddress);
      const ports = members[0]!.endpoint.ports.map(({ name = '', port = 0, protocol = 'TCP' }) => ({
        ...(name === '' ? {} : { name }),
        port,
        protocol,
      }));
      return {
        ...(ready.length ? { addresses: ready } : {}),
        ...(notReady.length ? { notReadyAddresses: notReady } : {}),
        ...(ports.length ? { ports } : {}),
      };
    });
}

function toAddress({ endpoint: { endpoint } }: { readonly endpoint: PodEndpoint }): Address {
  const { addresses, hostname, nodeName, targetRef } = endpoint;
  return {
    ip: addresses[0]!,
    ...(hostname === undefined ? {} : { hostname }),
    ...(nodeName === undefined ? {} : { nodeName }),
    ...(targetRef === undefined ? {} : { targetRef }),
  };
}
