import type { DesiredNamespace } from '../dataplane/links-diff.ts';
import { type LinkAddress, type LinkNeighbour, type LinkOperation, type LinkRoute, linkAddressText } from '../dataplane/links.ts';
import type { AddressRange } from '../ipam/index.ts';
import { type Address, type Family, parsePrefix } from '../net/index.ts';
import { hostOfRoutedPod, nextHopOf, permanently, type PlannedLink, wayToNextHops } from './compile-ptp.ts';
import type { Dns } from './dns-options.ts';
import type { Attachment } from './input.ts';
import { type Lease, ownLease, type PodAddress } from './lease.ts';
import { hostLinkName, linkLocalAddress, macOfAddress, macOfName } from './names.ts';
import type { PluginOptions } from './options.ts';

/** All that an attachment is: what ADD does, what CHECK expects, what DEL undoes. */
export interface AttachmentPlan {
  /** Absent in mode ptp. */
  readonly bridge?: { readonly name: string; readonly mac: string };
  readonly host: { readonly name: string; readonly mac: string };
  readonly pod: { readonly name: string; readonly mac: string };
  readonly addresses: readonly PodAddress[];
  readonly routes: readonly LinkRoute[];
  readonly dns: Dns;
  /** Addresses that the bridge has as the pods' gateway. */
  readonly gateways: readonly LinkAddress[];
  /** For the node's namespace, then for the pod's. */
  readonly hostOperations: readonly LinkOperation[];
  readonly podOperations: readonly LinkOperation[];
  readonly undo: readonly LinkOperation[];
  readonly desiredHost: DesiredNamespace;
  readonly desiredPod: DesiredNamespace;
}

const everywhere = { 4: parsePrefix('0.0.0.0/0'), 6: parsePrefix('::/0') } as const;

/** The longest ifalias the kernel takes is 255 bytes. */
const maxAlias = 255;

/**
 * The plan of an attachment. Pure.
 * @param given what it has a lease of; or the addresses reserved for it in our own ranges, one per range set and in their order
 * @throws RangeError when a reserved address is in none of its ranges
 */
export function compileAttachment(options: PluginOptions, attachment: Attachment, given: Lease | readonly Address[]): AttachmentPlan {
  const lease = 'addresses' in given ? given : ownLease(options.ipam, given);
  const isRouted = options.mode === 'ptp';
  const addresses = isRouted ? lease.addresses.map(routedAddress) : lease.addresses;
  const first = addresses[0]?.address.address;
  const name = hostLinkName(attachment.containerId, attachment.ifname);
  const host = { name, mac: first ? macOfAddress(first, '0e:58') : macOfName(name, '0e:58') };
  const pod = { name: attachment.ifname, mac: options.mac ?? (first ? macOfAddress(first, '0a:58') : macOfName(name, '0a:58')) };
  const routes = podRoutes(options, { ...lease, addresses }, pod.name);
  const podAddresses = addresses.map(({ address }) => address);
  const common = {
    host,
    pod,
    addresses,
    routes,
    dns: { ...lease.dns, ...options.dns },
    undo: undoOperations(
      options,
      host.name,
      podAddresses.map(({ address }) => address),
    ),
  };
  const alias = (attachment.pod ?? attachment.containerId).slice(0, maxAlias);
  const link = { pod, host, mtu: options.mtu, alias, namespace: attachment.netns };
  if (!isRouted) return { ...common, ...compileBridge(options, link, addresses), ...compilePod(options, pod, podAddresses, [], routes) };
  const { neighbours, routes: way } = wayToNextHops(link, podAddresses);
  return {
    ...common,
    gateways: [],
    ...hostOfRoutedPod(link, podAddresses),
    ...compilePod(options, pod, podAddresses, neighbours, [...way, ...routes]),
  };
}

/** In mode ptp the pod has no neighbour but the node. */
const routedAddress = ({ address: { address } }: PodAddress): PodAddress => ({
  address: { address, length: address.family === 4 ? 32 : 128 },
  gateway: nextHopOf(address.family),
});

function compileBridge(
  options: PluginOptions,
  { pod, host, mtu, alias, namespace }: PlannedLink,
  addresses: readonly PodAddress[],
): Pick<AttachmentPlan, 'gateways' | 'hostOperations' | 'desiredHost'> & { bridge: { name: string; mac: string } } {
  const { hairpinMode, promiscMode, portIsolation } = options;
  const [firstGateway] = addresses.flatMap(({ gateway }) => gateway ?? []);
  const bridge = { name: options.bridge, mac: firstGateway ? macOfAddress(firstGateway, '0a:58') : macOfName(options.bridge, '0a:58') };
  const gateways = options.isGateway ? gatewayAddresses(options.ipam.ranges.flat(), addresses) : [];
  return {
    bridge,
    gateways,
    hostOperations: [
      { op: 'ensure-bridge', ...bridge, mtu },
      { op: 'set-link', name: bridge.name, up: true, ...(promiscMode ? { promisc: true } : {}) },
      ...gateways.map((address): LinkOperation => ({ op: 'ensure-address', device: bridge.name, address })),
      { op: 'add-veth', ...host, mtu, master: bridge.name, peer: { ...pod, mtu, namespace } },
      { op: 'set-bridge-port', name: host.name, hairpin: hairpinMode, ...(portIsolation ? { isolated: true } : {}) },
      // The node's end has no address of its own: it is a port.
      { op: 'set-link', name: host.name, alias, linkLocal: false, up: true },
      // A neighbour learnt before is overwritten: the address may have had another MAC when it was paired with another first address.
      ...(options.isGateway
        ? addresses.map(
            ({ address: { address } }): LinkOperation => ({ op: 'ensure-neighbour', device: bridge.name, address, mac: pod.mac }),
          )
        : []),
    ],
    desiredHost: {
      links: [
        { name: bridge.name, kind: 'bridge', up: true, addresses: gateways, ...(promiscMode ? { promisc: true } : {}) },
        {
          name: host.name,
          kind: 'veth',
          up: true,
          mtu,
          master: bridge.name,
          hairpin: hairpinMode,
          ...(portIsolation ? { isolated: true } : {}),
        },
      ],
      routes: [],
    },
  };
}

function compilePod(
  { mtu, enabledad, disableContainerInterface }: PluginOptions,
  pod: { readonly name: string; readonly mac: string },
  addresses: readonly LinkAddress[],
  neighbours: readonly LinkNeighbour[],
  routes: readonly LinkRoute[],
): Pick<AttachmentPlan, 'podOperations' | 'desiredPod'> {
  const up = !disableContainerInterface;
  // The kernel's own would be tentative for a second or two, whatever the others are.
  const linkLocal = up && !enabledad && addresses.some(({ address }) => address.family === 6) ? linkLocalAddress(pod.mac) : undefined;
  const wanted = linkLocal ? [...addresses, { address: linkLocal, length: 64 }] : addresses;
  return {
    podOperations: [
      { op: 'set-link', name: 'lo', up: true },
      // Before it is up: then the kernel gives it one at once.
      ...(linkLocal ? [{ op: 'set-link', name: pod.name, linkLocal: false } as const] : []),
      ...(up ? [{ op: 'set-link', name: pod.name, up } as const] : []),
      ...wanted.map(
        (address): LinkOperation => ({
          op: 'ensure-address',
          device: pod.name,
          address,
          ...(enabledad && address.address.family === 6 ? { detectDuplicates: true } : {}),
        }),
      ),
      ...neighbours.map(permanently),
      ...routes.map((route): LinkOperation => ({ op: 'ensure-route', route })),
    ],
    desiredPod: { links: [{ name: pod.name, kind: 'veth', up, mac: pod.mac, mtu, addresses }], routes, neighbours },
  };
}

/** Takes an attachment down: its link (with it the pod's end goes), and what the node knows of its neighbours. Repeatable. */
export function undoOperations(
  { bridge, mac }: Pick<PluginOptions, 'bridge' | 'mac'>,
  hostLink: string,
  addresses: readonly Address[],
): LinkOperation[] {
  const [first] = addresses;
  // The pod's link-local address, by which the bridge may know it, too.
  const linkLocal = first && addresses.some(({ family }) => family === 6) ? [linkLocalAddress(mac ?? macOfAddress(first, '0a:58'))] : [];
  return [
    { op: 'delete-link', name: hostLink },
    // In mode ptp there is no bridge, and the neighbours go with the link.
    ...(bridge === ''
      ? []
      : [...addresses, ...linkLocal].map((address): LinkOperation => ({ op: 'forget-neighbour', device: bridge, address }))),
  ];
}

/** The gateway of every range and of every address, each once. */
function gatewayAddresses(ranges: readonly AddressRange[], addresses: readonly PodAddress[]): LinkAddress[] {
  const all = [
    ...ranges.map(({ gateway, subnet }) => ({ address: gateway, length: subnet.length })),
    ...addresses.flatMap(({ address: { length }, gateway }) => (gateway ? [{ address: gateway, length }] : [])),
  ];
  return [...new Map(all.map((address) => [linkAddressText(address), address])).values()];
}

/** The routes of the lease; then, for isDefaultGateway and in mode ptp, a default route of each family that has none among them. */
function podRoutes(options: PluginOptions, lease: Lease, device: string): LinkRoute[] {
  const isRouted = options.mode === 'ptp';
  const hasAddress = (family: Family): boolean => lease.addresses.some(({ address }) => address.address.family === family);
  const gatewayOf = (family: Family): Address | undefined => lease.addresses.find(({ gateway }) => gateway?.family === family)?.gateway;
  const routes = lease.routes.flatMap((route): LinkRoute[] => {
    const { family } = route.destination;
    // A family without an address has no use for a route.
    if (!hasAddress(family)) return [];
    // A link-scoped route has no next hop; in mode ptp there is only one.
    const gateway = isRouted ? gatewayOf(family) : (route.gateway ?? (route.scope === 253 ? undefined : gatewayOf(family)));
    return [{ ...route, device, ...(gateway ? { gateway } : {}) }];
  });
  if (!options.isDefaultGateway && !isRouted) return routes;
  const isDefault = ({ destination, table = 254 }: LinkRoute, family: Family): boolean =>
    destination.family === family && destination.length === 0 && table === 254;
  for (const family of [4, 6] as const) {
    const gateway = gatewayOf(family);
    if (gateway && !routes.some((route) => isDefault(route, family))) routes.push({ destination: everywhere[family], gateway, device });
  }
  return routes;
}
