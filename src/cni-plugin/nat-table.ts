import {
  addressKey,
  addressSelector,
  emptyNftTable,
  type NftChain,
  type NftDecision,
  type NftElement,
  type NftHook,
  type NftMatch,
  type NftProtocol,
  type NftRule,
  type NftSet,
  type NftTable,
} from '../dataplane/nft.ts';
import { type Family, type Prefix, parsePrefix, tryParseAddress } from '../net/index.ts';
import type { NatOptions } from './nat-options.ts';
import type { HostPort } from './port-maps.ts';

/** What the NAT rules of a network depend on besides its pods. Plain JSON. */
export interface NatNetwork {
  readonly name: string;
  /** The pods' subnets in canonical text, in order, each once. */
  readonly subnets: readonly string[];
  readonly ipMasq: boolean;
  readonly snat: boolean;
  readonly masqAll: boolean;
}

export const natNetwork = (name: string, subnets: readonly Prefix[], { ipMasq, snat, masqAll }: NatOptions): NatNetwork => ({
  name,
  subnets: [...new Set(subnets.map(({ text }) => text))].sort(),
  ipMasq,
  snat,
  masqAll,
});

/** nft takes 127 characters. */
const longestName = 100;

/** Name of the network's table. */
export function natTableName(network: string): string {
  if (network.length <= longestName) return `podwire-net-${network}`;
  let hash = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(network)) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffff_ffff_ffff_ffffn;
  return `podwire-net-${network.slice(0, longestName - 17)}-${hash.toString(16).padStart(16, '0')}`;
}

const families = [4, 6] as const;
const protocols = ['tcp', 'udp', 'sctp'] as const;
// One map of each protocol: nft 1.0.6 adds `meta l4proto tcp` to a rule with a map of several.
const wildcardMap = (protocol: NftProtocol, family: Family): string => `any-${protocol}-${family}`;
const addressMap = (protocol: NftProtocol, family: Family): string => `at-${protocol}-${family}`;
const mappedSet = (protocol: NftProtocol, family: Family): string => `mapped-${protocol}-${family}`;

const base = (type: NftHook['type'], hook: NftHook['hook'], priority: number, rules: readonly NftRule[]): NftChain => ({
  hook: { type, hook, priority, policy: 'accept' },
  rules,
});
const is = (of: Extract<NftMatch, { match: 'is' }>['of'], value: string): NftMatch => ({ match: 'is', of, values: [value] });
const jump = (chain: string, ...matches: NftMatch[]): NftRule => ({ matches, verdict: { verdict: 'jump', chain } });

const loopback = '127.0.0.0/8';
const multicast: Readonly<Record<Family, string>> = { 4: '224.0.0.0/4', 6: 'ff00::/8' };
const masquerade: NftDecision = { verdict: 'masquerade', fullyRandom: true };

/**
 * The NAT of one network as one nftables table, with the host ports of the pods given. Pure.
 *
 *     prerouting, output   a packet to an address of the node whose port is in a map goes to the pod that the map says
 *     postrouting          host port traffic from 127.0.0.1 or from a pod of the network gets the node's address, so that the answer comes back
 *                          through the node; with ipMasq, so does all that pods send out of their network
 *     guard                a packet from a link to 127.0.0.0/8 is forged: route_localnet, which host ports at 127.0.0.1 need, would let it in
 */
export function compileNatTable(network: NatNetwork, hostPorts: readonly HostPort[]): NftTable {
  const elements = hostPortElements(hostPorts);
  return {
    ...emptyNftTable(natTableName(network.name)),
    sets: new Map([...emptySets()].map(([name, set]) => [name, { ...set, elements: elements.get(name) ?? new Map() }])),
    chains: natChains(network),
  };
}

function emptySets(): ReadonlyMap<string, Omit<NftSet, 'elements'>> {
  return new Map(
    families.flatMap((family) =>
      protocols.flatMap((protocol): [string, Omit<NftSet, 'elements'>][] => {
        const address = addressKey(family);
        const map = { interval: false, verdicts: false, data: [address, 'inet_service'] } as const;
        return [
          [wildcardMap(protocol, family), { ...map, key: ['inet_service'] }],
          [addressMap(protocol, family), { ...map, key: [address, 'inet_service'] }],
          // By the port before DNAT, so that other traffic to the same port of the pod is told apart.
          [mappedSet(protocol, family), { interval: false, verdicts: false, key: ['inet_service', address] }],
        ];
      }),
    ),
  );
}

function natChains({ subnets, ipMasq, snat, masqAll }: NatNetwork): ReadonlyMap<string, NftChain> {
  const prefixes = subnets.map((text) => parsePrefix(text));
  const toNode = jump('host-ports', is('fib daddr type', 'local'));
  const source = (prefix: { family: Family; text: string }): NftMatch => is(addressSelector(prefix.family, 'saddr'), prefix.text);
  const dnat = is('ct status', 'dnat');
  const returning = families.flatMap((family): NftRule[] => {
    if (!snat) return [];
    if (masqAll) return [jump(`mapped-${family}`, dnat)];
    const sources = [...(family === 4 ? [loopback] : []), ...prefixes.filter((each) => each.family === family).map(({ text }) => text)];
    return sources.map((text) => jump(`mapped-${family}`, dnat, source({ family, text })));
  });
  const leaving = ipMasq ? prefixes.map((prefix) => jump(`leaving-${prefix.family}`, source(prefix))) : [];
  return new Map<string, NftChain>([
    ['host-ports', { rules: families.flatMap(destinationRules) }],
    ...families.flatMap((family): [string, NftChain][] => [
      [`mapped-${family}`, { rules: snat ? protocols.map((protocol) => mappedRule(protocol, family)) : [] }],
      [`leaving-${family}`, { rules: ipMasq ? leavingRules(prefixes, family) : [] }],
    ]),
    [
      'guard',
      base('filter', 'prerouting', -300, [
        { matches: [{ match: 'is', of: 'iifname', values: ['lo'], not: true }, is('ip daddr', loopback)], verdict: { verdict: 'drop' } },
      ]),
    ],
    ['prerouting', base('nat', 'prerouting', -100, [toNode])],
    // The kernel takes an answer to ::1 from no other link than lo (rt6_need_strict): refused at once is better than never answered.
    ['output', base('nat', 'output', -100, [{ matches: [is('ip6 daddr', '::1')], verdict: { verdict: 'return' } }, toNode])],
    ['postrouting', base('nat', 'postrouting', 100, [...returning, ...leaving])],
  ]);
}

const destinationRules = (family: Family): NftRule[] =>
  protocols.flatMap((protocol): NftRule[] => {
    const port = `${protocol} dport` as const;
    return [
      {
        matches: [],
        verdict: { verdict: 'dnat', family, to: { of: [addressSelector(family, 'daddr'), port], map: addressMap(protocol, family) } },
      },
      { matches: [], verdict: { verdict: 'dnat', family, to: { of: [port], map: wildcardMap(protocol, family) } } },
    ];
  });

const mappedRule = (protocol: NftProtocol, family: Family): NftRule => ({
  matches: [
    is('meta l4proto', protocol),
    { match: 'in', of: ['ct original proto-dst', addressSelector(family, 'daddr')], set: mappedSet(protocol, family) },
  ],
  verdict: masquerade,
});

function leavingRules(prefixes: readonly Prefix[], family: Family): NftRule[] {
  const own = prefixes.filter((prefix) => prefix.family === family).map(({ text }) => text);
  if (own.length === 0) return [];
  const stay = (text: string): NftRule => ({ matches: [is(addressSelector(family, 'daddr'), text)], verdict: { verdict: 'return' } });
  return [...own.map(stay), stay(multicast[family]), { matches: [], verdict: masquerade }];
}

/** The elements of host ports, by set. */
export function hostPortElements(hostPorts: readonly HostPort[]): ReadonlyMap<string, ReadonlyMap<string, NftElement>> {
  const sets = new Map<string, Map<string, NftElement>>();
  const put = (set: string, key: string, element?: string): void => {
    const elements = sets.get(set) ?? new Map<string, NftElement>();
    sets.set(set, elements.set(key, element));
  };
  for (const { protocol, hostPort, hostIP, address, containerPort } of hostPorts) {
    const family = tryParseAddress(address)!.family;
    const target = `${address} . ${containerPort}`;
    if (hostIP === undefined) put(wildcardMap(protocol, family), `${hostPort}`, target);
    else put(addressMap(protocol, family), `${hostIP} . ${hostPort}`, target);
    put(mappedSet(protocol, family), `${hostPort} . ${address}`);
  }
  return sets;
}
