import { type Endpoint, type EndpointSlice, fromTime, resources, type Service, toTime } from '../../objects/client.ts';
import type { Action } from '../action.ts';
import { type Controller, nothing, type Outcome, watch } from '../controller.ts';
import { canonicalJson, sameMeaning } from '../equal.ts';
import { isDeleting, without } from '../metadata.ts';
import type { ClusterView } from '../view.ts';
import { familiesOf, hasEndpoints, isHeadless, type PodEndpoint, podEndpoint, podsBehind } from './pod-endpoints.ts';
import { serviceWatches } from './service-watches.ts';
import { diffSlices, groupKey, type SliceContent, type SliceGroup } from './slice-diff.ts';
import { deleteSlice, writeSlice } from './slice-write.ts';

export const serviceNameLabel = 'kubernetes.io/service-name';
export const managedByLabel = 'endpointslice.kubernetes.io/managed-by';
const managedBy = 'endpointslice-controller.k8s.io';
export const headlessLabel = 'service.kubernetes.io/headless';
export const triggerTimeAnnotation = 'endpoints.kubernetes.io/last-change-trigger-time';

/** As in the reference: a change of one endpoint rewrites at most this many. */
const maxEndpoints = 100;

/** Lists the pods behind each Service that has a selector in EndpointSlices. Slices go with their Service by owner reference. */
export const endpointSliceController: Controller = {
  name: 'endpoint_slice',
  component: 'endpoint-slice-controller',
  workers: 8,
  watches: [
    ...serviceWatches,
    watch(resources.endpointSlices, (before, after) =>
      [before, after].flatMap((slice) =>
        slice && isOurs(slice) ? [`${slice.metadata.namespace}/${slice.metadata.labels?.[serviceNameLabel]}`] : [],
      ),
    ),
  ],
  reconcile(key, view) {
    const service = view.get(resources.services, key);
    return service && hasEndpoints(service) && !isDeleting(service) ? reconcileSlices(service, view) : nothing;
  },
};

const isOurs = ({ metadata }: EndpointSlice): boolean => metadata.labels?.[managedByLabel] === managedBy;

function reconcileSlices(service: Service, view: ClusterView): Outcome {
  const pods = podsBehind(service, view);
  const changedAt = new Map<Endpoint, number>();
  const groups = familiesOf(service).flatMap((family) => {
    const found = pods.flatMap((pod) => podEndpoint(service, pod, family, view) ?? []);
    for (const item of found) changedAt.set(item.endpoint, item.changedAt);
    return groupsOf(family === 4 ? 'IPv4' : 'IPv6', found);
  });
  const existing = view
    .list(resources.endpointSlices, service.metadata.namespace)
    .filter((slice) => isOurs(slice) && !isDeleting(slice) && slice.metadata.labels?.[serviceNameLabel] === service.metadata.name);
  const { write, remove, keep } = diffSlices(groups, existing, maxEndpoints);
  const stale = keep.filter((slice) => !sameMeaning(slice.metadata.labels, labelsFor(service)));
  const writes = [
    ...write,
    ...stale.map((slice) => ({
      slice,
      addressType: slice.addressType as 'IPv4' | 'IPv6',
      ports: slice.ports ?? [],
      endpoints: slice.endpoints,
    })),
  ];
  return { actions: [...writes.map((content) => writeChanged(service, content, changedAt, view.now)), ...remove.map(deleteSlice)] };
}

/** One group for each distinct set of ports; one without ports when there are no endpoints at all. */
function groupsOf(addressType: 'IPv4' | 'IPv6', found: readonly PodEndpoint[]): SliceGroup[] {
  if (found.length === 0) return [{ addressType, ports: [], endpoints: [] }];
  const byPorts = Map.groupBy(found, ({ ports }) => groupKey(addressType, ports));
  return [...byPorts.values()].map((members) => ({
    addressType,
    ports: members[0]!.ports,
    endpoints: members.map(({ endpoint }) => endpoint),
  }));
}

const labelsFor = (service: Service): Record<string, string> => ({
  ...without(service.metadata.labels, serviceNameLabel, managedByLabel, headlessLabel),
  [serviceNameLabel]: service.metadata.name,
  [managedByLabel]: managedBy,
  ...(isHeadless(service) ? { [headlessLabel]: '' } : {}),
});

function writeChanged(service: Service, content: SliceContent, changedAt: ReadonlyMap<Endpoint, number>, now: number): Action {
  const { slice, endpoints } = content;
  const before = new Set((slice?.endpoints ?? []).map(canonicalJson));
  const times = endpoints.filter((endpoint) => !before.has(canonicalJson(endpoint))).map((endpoint) => changedAt.get(endpoint) ?? 0);
  return writeSlice(content, {
    owner: { ...service, apiVersion: 'v1', kind: 'Service' },
    labels: labelsFor(service),
    annotations: { ...slice?.metadata.annotations, [triggerTimeAnnotation]: triggerTime(times, service, now) },
  });
}

/** The first of the changes that this write carries; from it to the rules in the kernel is the programming latency that proxies report. */
function triggerTime(times: readonly number[], service: Service, now: number): string {
  const known = times.filter((time) => time > 0);
  const first = known.length > 0 ? Math.max(Math.min(...known), fromTime(service.metadata.creationTimestamp)) : now;
  return toTime(first);
}
