import type { DesiredNamespace } from '../dataplane/links-diff.ts';
import type { LinkAddress, LinkOperation, LinkRoute } from '../dataplane/links.ts';
import { type AddressRange, rangeOf } from '../ipam/index.ts';
import { type Address, parsePrefix } from '../net/index.ts';
import type { Attachment } from './input.ts';
import { hostLinkName, macOfAddress } from './names.ts';
import type { PluginOptions } from './options.ts';

/** An address of the pod with what belongs to it. */
export interface PodAddress {
  readonly address: LinkAddress;
  readonly gateway: Address;
}

/** All that an attachment is: what ADD does, what CHECK expects, what DEL undoes. */
export interface AttachmentPlan {
  readonly bridge: { readonly name: string; readonly mac: string };
  readonly host: { readonly name: string; readonly mac: string };
  readonly pod: { readonly name: string; readonly mac: string };
  readonly addresses: readonly PodAddress[];
  readonly routes: readonly LinkRoute[];
  /** For the node's namespace, then for the pod's. */
  readonly hostOperations: readonly LinkOperation[];
  readonly podOperations: readonly LinkOperation[];
  readonly undo: readonly LinkOperation[];
  readonly desiredHost: DesiredNamespace;
  readonly desiredPod: DesiredNamespace;
}

/** The longest ifalias the kernel takes is 255 bytes. */
const maxAlias = 255;

/**
 * The plan of an attachment with the addresses reserved for it, one per range set and in their order. Pure.
 * @throws RangeError when an address is in none of its ranges
 */
export function compileAttachment(options: PluginOptions, attachment: Attachment, reserved: readonly Address[]): AttachmentPlan {
  const addresses = reserved.map((address, index): PodAddress => {
    const range = options.ipam.ranges[index] && rangeOf(options.ipam.ranges[index], address);
    if (!range) throw new RangeError(`${address.text} is in none of the ranges of ipam.ranges[${index}]`);
    return { address: { address, length: range.subnet.length }, gateway: range.gateway };
  });
  const first = addresses[0]!;
  const bridge = { name: options.bridge, mac: macOfAddress(first.gateway, '0a:58') };
  const host = { name: hostLinkName(attachment.containerId, attachment.ifname), mac: macOfAddress(first.address.address, '0e:58') };
  const pod = { name: attachment.ifname, mac: macOfAddress(first.address.address, '0a:58') };
  const gateways = options.isGateway ? gatewayAddresses(options.ipam.ranges.flat()) : [];
  const routes = podRoutes(options, addresses, pod.name);
  const podAddresses = addresses.map(({ address }) => address);
  const { mtu, hairpinMode } = options;
  return {
    bridge,
    host,
    pod,
    addresses,
    routes,
    hostOperations: [
      { op: 'ensure-bridge', ...bridge, mtu },
      { op: 'set-link', name: bridge.name, up: true },
      ...gateways.map((address): LinkOperation => ({ op: 'ensure-address', device: bridge.name, address })),
      { op: 'add-veth', ...host, mtu, master: bridge.name, peer: { ...pod, mtu, namespace: attachment.netns } },
      { op: 'set-bridge-port', name: host.name, hairpin: hairpinMode },
      // The node's end has no address of its own: it is a port.
      { op: 'set-link', name: host.name, alias: (attachment.pod ?? attachment.containerId).slice(0, maxAlias), linkLocal: false, up: true },
      // A neighbour learnt before is overwritten: the address may have had another MAC when it was paired with another first address.
      ...(options.isGateway
        ? podAddresses.map(({ address }): LinkOperation => ({ op: 'ensure-neighbour', device: bridge.name, address, mac: pod.mac }))
        : []),
    ],
    podOperations: [
      { op: 'set-link', name: 'lo', up: true },
      { op: 'set-link', name: pod.name, up: true },
      ...podAddresses.map((address): LinkOperation => ({ op: 'ensure-address', device: pod.name, address })),
      ...routes.map((route): LinkOperation => ({ op: 'ensure-route', route })),
    ],
    undo: undoOperations(options.bridge, host.name, reserved),
    desiredHost: {
      links: [
        { name: bridge.name, kind: 'bridge', up: true, addresses: gateways },
        { name: host.name, kind: 'veth', up: true, mtu, master: bridge.name, hairpin: hairpinMode },
      ],
      routes: [],
    },
    desiredPod: { links: [{ name: pod.name, kind: 'veth', up: true, mac: pod.mac, mtu, addresses: podAddresses }], routes },
  };
}

/** Takes an attachment down: its link (with it the pod's end goes), and what the node knows of its neighbours. Repeatable. */
export const undoOperations = (bridge: string, hostLink: string, addresses: readonly Address[]): LinkOperation[] => [
  { op: 'delete-link', name: hostLink },
  ...addresses.map((address): LinkOperation => ({ op: 'forget-neighbour', device: bridge, address })),
];

/** The gateway of every range, each address once. */
function gatewayAddresses(ranges: readonly AddressRange[]): LinkAddress[] {
  return [...new Map(ranges.map(({ gateway, subnet }) => [gateway.text, { address: gateway, length: subnet.length }])).values()];
}

/** The routes of the configuration; then, for isDefaultGateway, a default route of each family that has none among them. */
function podRoutes(options: PluginOptions, addresses: readonly PodAddress[], device: string): LinkRoute[] {
  const gatewayOf = (family: 4 | 6): Address | undefined => addresses.find(({ gateway }) => gateway.family === family)?.gateway;
  const routes = options.ipam.routes.flatMap((route): LinkRoute[] => {
    // A link-scoped route has no next hop; a family without an address has no use for a route.
    const gateway = route.gateway ?? (route.scope === 253 ? undefined : gatewayOf(route.destination.family));
    if (!gatewayOf(route.destination.family)) return [];
    return [{ ...route, device, ...(gateway ? { gateway } : {}) }];
  });
  if (!options.isDefaultGateway) return routes;
  const hasDefault = (family: 4 | 6): boolean =>
    routes.some(({ destination }) => destination.family === family && destination.length === 0);
  for (const family of [4, 6] as const) {
    const gateway = gatewayOf(family);
    if (gateway && !hasDefault(family)) routes.push({ destination: parsePrefix(family === 4 ? '0.0.0.0/0' : '::/0'), gateway, device });
  }
  return routes;
}
