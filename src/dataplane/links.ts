import type { Address, Prefix } from '../net/index.ts';

/** An address on a link, with the length of the prefix it is on. */
export interface LinkAddress {
  readonly address: Address;
  readonly length: number;
}

/** A route of one network namespace. Numbers are as `ip route` shows them. */
export interface LinkRoute {
  readonly destination: Prefix;
  readonly gateway?: Address;
  /** Name of the link it leaves by. */
  readonly device?: string;
  /** Table number; the main table when absent. */
  readonly table?: number;
  /** Priority: the lower one wins. */
  readonly metric?: number;
  readonly mtu?: number;
  readonly advmss?: number;
  /** rt_scope number: 0 global, 253 link, 254 host. */
  readonly scope?: number;
}

/** A link as the kernel has it. */
export interface LinkState {
  readonly name: string;
  /** `bridge`, `veth`, ...; empty for hardware and loopback. */
  readonly kind: string;
  /** Lower case with colons; empty when it has none. */
  readonly mac: string;
  readonly mtu: number;
  /** Administratively up. */
  readonly up: boolean;
  /** Name of the bridge it is a port of. */
  readonly master?: string;
  readonly alias?: string;
  /** Bridge ports only: may a frame leave by the port it came in. */
  readonly hairpin?: boolean;
  /** Bridge ports only: no frame goes from this port to another isolated one. */
  readonly isolated?: boolean;
  /** Takes every frame, whoever it is for, because somebody asked for that. Absent: not known. */
  readonly promisc?: boolean;
  readonly addresses: readonly LinkAddress[];
  /** IPv6 addresses, but for link-local ones, that may not be used yet, or ever: duplicate address detection has not ended, or found another host. */
  readonly unusable?: readonly { readonly address: Address; readonly reason: 'tentative' | 'duplicate' }[];
}

/** A neighbour whose MAC the kernel was told for good (`nud permanent`). */
export interface LinkNeighbour {
  readonly device: string;
  readonly address: Address;
  readonly mac: string;
}

/** Part of what one network namespace holds: the links that were asked for and exist, and all unicast routes of their own making. */
export interface NamespaceState {
  readonly links: ReadonlyMap<string, LinkState>;
  readonly routes: readonly LinkRoute[];
  /** The permanent neighbours on those links. Absent: not read. */
  readonly neighbours?: readonly LinkNeighbour[];
}

/** One change to the links, addresses, routes or neighbours of a network namespace. */
export type LinkOperation =
  /** Makes the bridge, already with its MAC; one that exists is left as it is. */
  | { readonly op: 'ensure-bridge'; readonly name: string; readonly mac: string; readonly mtu: number }
  | {
      readonly op: 'add-veth';
      readonly name: string;
      readonly mac: string;
      readonly mtu: number;
      /** Bridge that it becomes a port of. */
      readonly master?: string;
      /** The other end, made in the network namespace with the path `namespace`. */
      readonly peer: { readonly name: string; readonly mac: string; readonly mtu: number; readonly namespace: string };
    }
  | {
      readonly op: 'set-link';
      readonly name: string;
      readonly up?: boolean;
      readonly mtu?: number;
      readonly alias?: string;
      /** False: the kernel makes no link-local IPv6 address of its own. */
      readonly linkLocal?: boolean;
      readonly promisc?: boolean;
    }
  | { readonly op: 'set-bridge-port'; readonly name: string; readonly hairpin: boolean; readonly isolated?: boolean }
  /** A link that is not there is fine. */
  | { readonly op: 'delete-link'; readonly name: string }
  /** Adds the address or refreshes it; IPv6 without duplicate address detection, unless `detectDuplicates`. */
  | { readonly op: 'ensure-address'; readonly device: string; readonly address: LinkAddress; readonly detectDuplicates?: true }
  | { readonly op: 'delete-address'; readonly device: string; readonly address: LinkAddress }
  | { readonly op: 'ensure-route'; readonly route: LinkRoute }
  | { readonly op: 'delete-route'; readonly route: LinkRoute }
  /** Tells the kernel the neighbour's MAC as if it had just answered; `permanent`: it is never asked again. */
  | { readonly op: 'ensure-neighbour'; readonly device: string; readonly address: Address; readonly mac: string; readonly permanent?: true }
  /** Forgets what the kernel learnt of the neighbour; nothing learnt is fine. */
  | { readonly op: 'forget-neighbour'; readonly device: string; readonly address: Address };

export type LinkFailureReason = 'exists' | 'missing' | 'not-permitted' | 'failed';

/** An operation that the kernel refused. */
export interface LinkFailure {
  readonly operation: LinkOperation;
  /** Stable; `detail` is the kernel's own text. */
  readonly reason: LinkFailureReason;
  readonly detail: string;
}

/** What became of a list of operations. */
export interface LinkOutcome {
  readonly failures: readonly LinkFailure[];
  /** Refused, but what was asked for is so: the bridge exists, the link to delete does not. */
  readonly tolerated: readonly LinkFailure[];
  /** The links that were to be shown, after the operations; no routes. */
  readonly shown: NamespaceState;
}

/** `10.244.1.7/24`. */
export const linkAddressText = ({ address, length }: LinkAddress): string => `${address.text}/${length}`;

/** `default via 10.244.1.1 dev eth0`, as `ip route` would show it. */
export function linkRouteText({ destination, gateway, device, table, metric }: LinkRoute): string {
  const parts = [destination.length === 0 ? `default (IPv${destination.family})` : destination.text];
  if (gateway) parts.push('via', gateway.text);
  if (device) parts.push('dev', device);
  if (table !== undefined) parts.push('table', String(table));
  if (metric !== undefined) parts.push('metric', String(metric));
  return parts.join(' ');
}
