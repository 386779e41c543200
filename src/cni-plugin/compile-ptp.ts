import type { DesiredNamespace } from '../dataplane/links-diff.ts';
import type { LinkAddress, LinkNeighbour, LinkOperation, LinkRoute } from '../dataplane/links.ts';
import { type Address, type Family, parseAddress, prefixOf } from '../net/index.ts';

// Mode ptp: a veth pair that is no port of anything. The pod has host addresses (/32, /128) and sends everything to the node, which has a host
// route to each pod. The next hop is the same for all pods. For IPv4 it is nobody's address: the pod is told its MAC, so that the node's end
// needs no address, and the node speaks to pods from its own. IPv6 finds neighbours from a link-local address only, so the node's end has one.

const nextHops: Readonly<Record<Family, Address>> = { 4: parseAddress('169.254.1.1'), 6: parseAddress('fe80::1') };

export const nextHopOf = (family: Family): Address => nextHops[family];

/** A veth pair to be made. */
export interface PlannedLink {
  readonly pod: { readonly name: string; readonly mac: string };
  readonly host: { readonly name: string; readonly mac: string };
  readonly mtu: number;
  readonly alias: string;
  readonly namespace: string;
}

const hasFamily = (addresses: readonly LinkAddress[], family: Family): boolean =>
  addresses.some(({ address }) => address.family === family);

export const permanently = (neighbour: LinkNeighbour): LinkOperation => ({ op: 'ensure-neighbour', ...neighbour, permanent: true });

/** The node's side. */
export function hostOfRoutedPod(
  { pod, host, mtu, alias, namespace }: PlannedLink,
  addresses: readonly LinkAddress[],
): { hostOperations: LinkOperation[]; desiredHost: DesiredNamespace } {
  const own: LinkAddress[] = hasFamily(addresses, 6) ? [{ address: nextHops[6], length: 64 }] : [];
  const routes = addresses.map(({ address, length }): LinkRoute => ({ destination: prefixOf(address, length), device: host.name }));
  const neighbours = addresses.map(({ address }) => ({ device: host.name, address, mac: pod.mac }));
  return {
    hostOperations: [
      { op: 'add-veth', ...host, mtu, peer: { ...pod, mtu, namespace } },
      { op: 'set-link', name: host.name, alias, linkLocal: false, up: true },
      ...own.map((address): LinkOperation => ({ op: 'ensure-address', device: host.name, address })),
      ...routes.map((route): LinkOperation => ({ op: 'ensure-route', route })),
      ...neighbours.map(permanently),
    ],
    desiredHost: { links: [{ name: host.name, kind: 'veth', up: true, mtu, mac: host.mac, addresses: own }], routes, neighbours },
  };
}

/** What the pod needs before its routes: neighbours and link routes. A link-local next hop is on the link anyway. */
export function wayToNextHops(
  { pod, host }: PlannedLink,
  addresses: readonly LinkAddress[],
): { neighbours: LinkNeighbour[]; routes: LinkRoute[] } {
  const families = ([4, 6] as const).filter((family) => hasFamily(addresses, family));
  return {
    neighbours: families.map((family) => ({ device: pod.name, address: nextHops[family], mac: host.mac })),
    routes: families.includes(4) ? [{ destination: prefixOf(nextHops[4], 32), device: pod.name }] : [],
  };
}
