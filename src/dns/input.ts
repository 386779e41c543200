import type { EndpointSlice, Namespace, Pod, Service } from '../objects/client.ts';

/** The whole input of the zone. Objects are never mutated; their identity is what the compiler caches by. */
export interface DnsInput {
  readonly services: Iterable<Service>;
  readonly endpointSlices: Iterable<EndpointSlice>;
  readonly namespaces: Iterable<Namespace>;
  /** Only read with `pods: verified`. */
  readonly pods: Iterable<Pod>;
  /** Serial of the SOA, an unsigned 32-bit integer that grows as the input changes (RFC 1982). */
  readonly serial: number;
  /** Addresses this server is reached at, for the glue when no Service stands before it. */
  readonly serverAddresses: readonly string[];
}

/** The slices of each Service by `namespace/name`, through the label that the EndpointSlice API defines for it. */
export function groupSlices(slices: Iterable<EndpointSlice>): Map<string, EndpointSlice[]> {
  const groups = new Map<string, EndpointSlice[]>();
  for (const slice of slices) {
    const service = slice.metadata.labels?.['kubernetes.io/service-name'];
    if (!service || slice.addressType === 'FQDN') continue;
    const key = `${slice.metadata.namespace}/${service}`;
    const group = groups.get(key);
    if (group) group.push(slice);
    else groups.set(key, [slice]);
  }
  return groups;
}

export interface ReadyEndpoint {
  readonly address: string;
  readonly hostname: string | undefined;
  readonly slice: EndpointSlice;
}

/** Every address to publish: ready ones, or all when the Service asks for it. In a fixed order, each address once. */
export function publishedEndpoints(service: Service, slices: readonly EndpointSlice[]): ReadyEndpoint[] {
  const found = new Map<string, ReadyEndpoint>();
  for (const slice of slices) {
    for (const endpoint of slice.endpoints ?? []) {
      if (endpoint.conditions?.ready === false && !service.spec.publishNotReadyAddresses) continue;
      for (const address of endpoint.addresses ?? []) {
        const key = `${address}|${endpoint.hostname ?? ''}|${(slice.ports ?? []).map((port) => `${port.name}/${port.protocol}/${port.port}`).join()}`;
        if (!found.has(key)) found.set(key, { address, hostname: endpoint.hostname, slice });
      }
    }
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoint]) => endpoint);
}
