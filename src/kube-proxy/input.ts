import { type Address, type Family, type Prefix, tryParseAddress, tryParsePrefix } from '../net/index.ts';
import type { EndpointSlice, Node, Service } from '../objects/client.ts';

/** All that decides what the proxy of one node programs. */
export interface ProxyInput {
  readonly nodeName: string;
  /** Undefined while the node is not registered. */
  readonly node: Node | undefined;
  readonly services: Iterable<Service>;
  readonly endpointSlices: Iterable<EndpointSlice>;
}

/** The part of a Node that matters to one family. */
export interface NodeFacts {
  readonly name: string;
  /** InternalIP and ExternalIP addresses. */
  readonly addresses: readonly Address[];
  /** The first InternalIP. */
  readonly internalIP: Address | undefined;
  readonly zone: string | undefined;
  readonly podCIDR: Prefix | undefined;
}

/** Reads the facts out of the Node; addresses of the other family and unreadable ones are left out. */
export function nodeFacts(nodeName: string, node: Node | undefined, family: Family): NodeFacts {
  const read = (type: string): Address[] =>
    (node?.status?.addresses ?? []).flatMap((entry) => {
      const address = entry.type === type ? tryParseAddress(entry.address) : undefined;
      return address?.family === family ? [address] : [];
    });
  const internal = read('InternalIP');
  const podCIDRs = node?.spec?.podCIDRs ?? (node?.spec?.podCIDR === undefined ? [] : [node.spec.podCIDR]);
  return {
    name: nodeName,
    addresses: [...internal, ...read('ExternalIP')],
    internalIP: internal[0],
    zone: node?.metadata.labels?.['topology.kubernetes.io/zone'],
    podCIDR: podCIDRs.map((text) => tryParsePrefix(text)).find((prefix) => prefix?.family === family),
  };
}

/** `namespace/name` of the service that the slice belongs to. */
export function serviceOf({ metadata }: EndpointSlice): string | undefined {
  const service = metadata.labels?.['kubernetes.io/service-name'];
  return service ? `${metadata.namespace}/${service}` : undefined;
}

/** The slices of each service by `namespace/name`, of one family, in the order of their names. */
export function slicesByService(slices: Iterable<EndpointSlice>, family: Family): Map<string, EndpointSlice[]> {
  const byService = new Map<string, EndpointSlice[]>();
  for (const slice of slices) {
    const key = serviceOf(slice);
    if (key === undefined || slice.addressType !== (family === 4 ? 'IPv4' : 'IPv6')) continue;
    const list = byService.get(key);
    if (list) list.push(slice);
    else byService.set(key, [slice]);
  }
  for (const list of byService.values()) list.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  return byService;
}

/** Why a service has no rules at all; undefined when it has. The labels are those kube-proxy's own watch leaves out. */
export function whySkipped(service: Service): string | undefined {
  const { labels } = service.metadata;
  if (labels && 'service.kubernetes.io/service-proxy-name' in labels) return 'served by another proxy (service-proxy-name label)';
  if (labels && 'service.kubernetes.io/headless' in labels) return 'headless (label)';
  if (service.spec.type === 'ExternalName') return 'ExternalName is a matter of DNS';
  if (service.spec.clusterIP === 'None') return 'headless';
  if (!service.spec.clusterIP) return 'no cluster IP allocated yet';
  return undefined;
}
