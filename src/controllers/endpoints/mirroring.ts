import { tryParseAddress } from '../../net/index.ts';
import { type Endpoint, type EndpointPort, type Endpoints, type EndpointSlice, objectKey, resources } from '../../objects/client.ts';
import type { Action } from '../action.ts';
import { type Controller, type Outcome, watch } from '../controller.ts';
import { sameMeaning } from '../equal.ts';
import { isDeleting, without } from '../metadata.ts';
import { diffSlices, groupKey, type SliceGroup } from './slice-diff.ts';
import { deleteSlice, writeSlice } from './slice-write.ts';
import { managedByLabel, serviceNameLabel } from './slices.ts';

const managedBy = 'endpointslicemirroring-controller.k8s.io';
const skipLabel = 'endpointslice.kubernetes.io/skip-mirror';
const leaderAnnotation = 'control-plane.alpha.kubernetes.io/leader';
const notCopied = ['kubectl.kubernetes.io/last-applied-configuration'];
/** As many addresses of one subset are mirrored. */
const maxAddresses = 1_000;

type Subset = NonNullable<Endpoints['subsets']>[number];

/** Mirrors Endpoints that people made for Services without a selector into EndpointSlices, which is all that proxies and DNS read. */
export const endpointSliceMirroringController: Controller = {
  name: 'endpoint_slice_mirroring_controller',
  component: 'endpoint-slice-mirroring-controller',
  workers: 4,
  watches: [
    watch(resources.endpoints, (before, after) => [objectKey((after ?? before)!)]),
    watch(resources.services, (before, after) => [objectKey((after ?? before)!)]),
    watch(resources.endpointSlices, (before, after) =>
      [before, after].flatMap((slice) =>
        slice && isMirror(slice) ? [`${slice.metadata.namespace}/${slice.metadata.labels?.[serviceNameLabel]}`] : [],
      ),
    ),
  ],
  reconcile(key, view) {
    const endpoints = view.get(resources.endpoints, key);
    const service = view.get(resources.services, key);
    const separator = key.indexOf('/');
    const mirrors = view
      .list(resources.endpointSlices, key.slice(0, separator))
      .filter((slice) => isMirror(slice) && !isDeleting(slice) && slice.metadata.labels?.[serviceNameLabel] === key.slice(separator + 1));
    if (!endpoints || isDeleting(endpoints) || !service || service.spec.selector || isExempt(endpoints))
      return { actions: mirrors.map(deleteSlice) };
    return mirror(endpoints, mirrors);
  },
};

const isMirror = ({ metadata }: EndpointSlice): boolean => metadata.labels?.[managedByLabel] === managedBy;
const isExempt = ({ metadata }: Endpoints): boolean =>
  metadata.labels?.[skipLabel] === 'true' || metadata.annotations?.[leaderAnnotation] !== undefined;

function mirror(endpoints: Endpoints, mirrors: readonly EndpointSlice[]): Outcome {
  const groups = new Map<string, { addressType: 'IPv4' | 'IPv6'; ports: readonly EndpointPort[]; endpoints: Map<string, Endpoint> }>();
  let invalid = 0;
  let skipped = 0;
  for (const subset of endpoints.subsets ?? []) {
    const ports = (subset.ports ?? []).map(({ name = '', port, protocol = 'TCP', ...rest }) => ({ name, port, protocol, ...rest }));
    let taken = 0;
    for (const { address, ready } of addressesOf(subset)) {
      const family = tryParseAddress(address.ip)?.family;
      if (family === undefined) invalid++;
      else if (taken >= maxAddresses) skipped++;
      else {
        taken++;
        const addressType = family === 4 ? 'IPv4' : 'IPv6';
        const key = groupKey(addressType, ports);
        const group = groups.get(key) ?? { addressType, ports, endpoints: new Map<string, Endpoint>() };
        groups.set(key, group);
        // An address that is in both lists, or twice, counts as the first that was told.
        if (!group.endpoints.has(address.ip)) group.endpoints.set(address.ip, endpointOf(address, ready));
      }
    }
  }
  const wanted = [...groups.values()].map((group): SliceGroup => ({ ...group, endpoints: [...group.endpoints.values()] }));
  const frame = frameOf(endpoints);
  const { write, remove, keep } = diffSlices(wanted, mirrors, maxAddresses);
  const stale = keep.filter(
    ({ metadata }) => !sameMeaning(metadata.labels, frame.labels) || !sameMeaning(metadata.annotations, frame.annotations),
  );
  const refreshed = stale.map((slice) => ({
    slice,
    addressType: slice.addressType as 'IPv4' | 'IPv6',
    ports: slice.ports ?? [],
    endpoints: slice.endpoints,
  }));
  const writes = [...write, ...refreshed].map((content) => writeSlice(content, frame));
  const actions = [...writes, ...remove.map(deleteSlice)];
  // With the change that makes it so, not again whenever somebody looks.
  return { actions: actions.length === 0 ? [] : [...actions, ...warnings(endpoints, invalid, skipped)] };
}

const addressesOf = ({ addresses = [], notReadyAddresses = [] }: Subset) => [
  ...addresses.map((address) => ({ address, ready: true })),
  ...notReadyAddresses.map((address) => ({ address, ready: false })),
];

function endpointOf({ ip, hostname, nodeName, targetRef }: NonNullable<Subset['addresses']>[number], ready: boolean): Endpoint {
  return {
    addresses: [ip],
    conditions: { ready },
    ...(hostname ? { hostname } : {}),
    ...(nodeName === undefined ? {} : { nodeName }),
    ...(targetRef === undefined ? {} : { targetRef }),
  };
}

const frameOf = (endpoints: Endpoints) => ({
  owner: { ...endpoints, apiVersion: 'v1', kind: 'Endpoints' },
  labels: {
    ...without(endpoints.metadata.labels, serviceNameLabel, managedByLabel),
    [serviceNameLabel]: endpoints.metadata.name,
    [managedByLabel]: managedBy,
  },
  annotations: without(endpoints.metadata.annotations, ...notCopied),
});

function warnings(regarding: Endpoints, invalid: number, skipped: number): Action[] {
  const warn = (reason: string, message: string): Action => ({ do: 'event', event: { regarding, type: 'Warning', reason, message } });
  return [
    ...(invalid > 0 ? [warn('InvalidIPAddress', `Skipped ${invalid} invalid IP addresses when mirroring to EndpointSlices`)] : []),
    ...(skipped > 0
      ? [
          warn(
            'TooManyAddressesToMirror',
            `A max of ${maxAddresses} addresses can be mirrored to EndpointSlices per Endpoints subset. ${skipped} addresses were skipped`,
          ),
        ]
      : []),
  ];
}
