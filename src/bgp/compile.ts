import {
  type Address,
  compareAddresses,
  type Family,
  type Prefix,
  parseAddress,
  parsePrefix,
  tryParseAddress,
  tryParsePrefix,
} from '../net/index.ts';
import type { Node } from '../objects/client.ts';
import type { BgpInput } from './input.ts';
import type { BgpOptions, StaticPeer } from './options.ts';
import type { Advertisement, PeerConfig } from './speaker/types.ts';
import { bgpPort } from './wire/constants.ts';

/** What the speaker should be. */
export interface BgpPlan {
  /** Undefined until our own Node has an InternalIP. */
  readonly self: { readonly routerId: Address; readonly addresses: readonly Address[] } | undefined;
  readonly advertisements: readonly Advertisement[];
  /** By address. */
  readonly peers: readonly PeerConfig[];
  /** Addresses to listen on. */
  readonly listen: readonly Address[];
  /** What in the input cannot be used, naming object and field. */
  readonly problems: readonly string[];
}

/**
 * Works out peers and advertisements: a full mesh of all nodes by InternalIP, plus the peers of the options; our own pod CIDRs, with our own
 * address of the same family as next hop. Pure, and independent of the order of the nodes.
 */
export function compile({ options, nodes }: BgpInput): BgpPlan {
  const problems: string[] = [];
  const own = nodes.find(({ metadata }) => metadata.name === options.nodeName);
  const addresses = own ? internalAddresses(own, problems) : options.nodeName === undefined ? options.localAddresses.map(parseAddress) : [];
  const routerId = options.routerId === undefined ? addresses.find(({ family }) => family === 4) : parseAddress(options.routerId);
  if (addresses.length > 0 && !routerId) problems.push('no IPv4 address to take as BGP identifier; set routerId');
  if (addresses.length === 0 || !routerId) return { self: undefined, advertisements: [], peers: [], listen: [], problems };
  const peers = compilePeers(options, nodes, addresses, problems);
  const families = new Set(peers.map(({ address }) => address.family));
  const listen = addresses.filter(({ family }, index) =>
    families.size === 0 ? index === 0 : families.has(family) && firstOf(addresses, family)?.text === addresses[index]?.text,
  );
  return {
    self: { routerId, addresses },
    advertisements: compileAdvertisements(options, own, addresses, problems),
    peers,
    listen,
    problems,
  };
}

const firstOf = (addresses: readonly Address[], family: Family): Address | undefined =>
  addresses.find((address) => address.family === family);

function internalAddresses(node: Node, problems: string[]): Address[] {
  return (node.status?.addresses ?? []).flatMap(({ type, address: text }, index) => {
    if (type !== 'InternalIP') return [];
    const address = tryParseAddress(text);
    if (!address)
      problems.push(`Node ${node.metadata.name}: status.addresses[${index}].address ${JSON.stringify(text)} is not an IP address`);
    return address ?? [];
  });
}

function compileAdvertisements(
  options: BgpOptions,
  own: Node | undefined,
  addresses: readonly Address[],
  problems: string[],
): Advertisement[] {
  const podCidrs = own?.spec?.podCIDRs ?? (own?.spec?.podCIDR ? [own.spec.podCIDR] : []);
  const prefixes = new Map<string, Prefix>();
  for (const [index, text] of podCidrs.entries()) {
    const prefix = tryParsePrefix(text);
    if (prefix) prefixes.set(prefix.text, prefix);
    else problems.push(`Node ${own?.metadata.name}: spec.podCIDRs[${index}] ${JSON.stringify(text)} is not a CIDR`);
  }
  for (const text of options.advertise) prefixes.set(text, parsePrefix(text));
  return [...prefixes.values()].flatMap((prefix) => {
    const nextHop = firstOf(addresses, prefix.family);
    if (!nextHop) problems.push(`${prefix.text} is not advertised: we have no IPv${prefix.family} address to be its next hop`);
    return nextHop ? { prefix, nextHop } : [];
  });
}

function compilePeers(options: BgpOptions, nodes: readonly Node[], addresses: readonly Address[], problems: string[]): PeerConfig[] {
  const peers = new Map<string, PeerConfig>();
  for (const peer of options.peers) {
    const config = staticPeer(peer, options, addresses);
    if (typeof config === 'string') problems.push(config);
    else peers.set(config.address.text, config);
  }
  const own = new Set(addresses.map(({ text }) => text));
  for (const node of [...nodes].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))) {
    if (node.metadata.name === options.nodeName) continue;
    const theirs = internalAddresses(node, problems);
    if (theirs.length === 0) continue;
    const address = ([4, 6] as const)
      .map((family) => firstOf(addresses, family) && firstOf(theirs, family))
      .find((found) => found !== undefined);
    const known = address && peers.get(address.text);
    if (!address) problems.push(`Node ${node.metadata.name}: has no InternalIP of an address family that we have`);
    else if (own.has(address.text)) problems.push(`Node ${node.metadata.name}: InternalIP ${address.text} is our own`);
    else if (known) problems.push(`Node ${node.metadata.name}: InternalIP ${address.text} is already that of peer ${known.name}`);
    else {
      const localAddress = firstOf(addresses, address.family)!;
      const mesh = { asn: options.asn, port: options.listenPort, importPolicy: 'all', exportPolicy: 'all', nextHopSelf: false } as const;
      peers.set(address.text, { address, localAddress, name: node.metadata.name, ...mesh });
    }
  }
  return [...peers.values()].sort((a, b) => compareAddresses(a.address, b.address));
}

function staticPeer(peer: StaticPeer, options: BgpOptions, addresses: readonly Address[]): PeerConfig | string {
  const address = parseAddress(peer.address);
  const localAddress = firstOf(addresses, address.family);
  if (!localAddress) return `peer ${address.text}: we have no IPv${address.family} address to speak from`;
  if (addresses.some(({ text }) => text === address.text)) return `peer ${address.text}: that is our own address`;
  // RFC 8212: routes cross the border of an AS only where somebody said so.
  const unless = peer.asn === options.asn ? 'all' : 'none';
  return {
    address,
    localAddress,
    name: address.text,
    asn: peer.asn,
    port: peer.port ?? bgpPort,
    importPolicy: peer.import ?? unless,
    exportPolicy: peer.export ?? unless,
    nextHopSelf: peer.nextHopSelf ?? false,
  };
}
