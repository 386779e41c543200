import {
  addressSelector,
  type NftChain,
  type NftMatch,
  type NftPorts,
  type NftProtocol,
  type NftRule,
  type NftTable,
  type NftVerdict,
} from '../../dataplane/nft.ts';
import type { Family, Protocol } from '../../net/index.ts';
import type { PodEndpoint } from '../input.ts';
import type { CompiledPolicy, Direction, IsolatedPod, NetpolModel, Peer, PolicyRule } from '../model.ts';
import { hash, PolicySets } from './sets.ts';

const families: readonly Family[] = [4, 6];
const directions: readonly Direction[] = ['egress', 'ingress'];
const protocols: readonly NftProtocol[] = ['tcp', 'udp', 'sctp'];
const accept: NftVerdict = { verdict: 'accept' };

/** The named counters that count what each direction's isolation drops. */
export const dropCounters: Readonly<Record<Direction, string>> = { ingress: 'dropped-ingress', egress: 'dropped-egress' };

/**
 * The model as one nftables table:
 *
 *     forward ── egress  (priority 0) ── ip saddr vmap @egress-4  ── pod's chain ── policies' chains, else drop
 *             └─ ingress (priority 1) ── ip daddr vmap @ingress-4 ── pod's chain ── policies' chains, else drop
 *
 * Two base chains, since accepting in one must not spare a packet the other. Forwarding comes after DNAT, so destinations are pods, not Services;
 * before SNAT, so sources are pods too. What the node itself sends is not forwarded, and so always reaches its pods.
 */
export function renderNft(model: NetpolModel, name: string): NftTable {
  const chains = new Map<string, NftChain>();
  const sets = new PolicySets();
  const policies = new Map(model.policies.map((policy) => [policy.id, policy]));
  for (const direction of directions) {
    for (const pod of model.pods) {
      const opening = pod[direction];
      if (!opening) continue;
      const chain = podChain(direction, pod.id);
      for (const { family, text } of pod.addresses) sets.addVerdict(mapName(direction, family), family, text, { verdict: 'goto', chain });
      chains.set(chain, { rules: podRules(direction, pod, opening) });
      for (const id of opening) {
        const policy = policyChain(direction, id);
        if (!chains.has(policy)) chains.set(policy, { rules: policyRules(direction, policies.get(id)!, model.endpoints, sets) });
      }
    }
    for (const family of families) sets.addMap(mapName(direction, family), family);
    chains.set(direction, baseChain(direction));
  }
  return { name, chains, sets: sets.made, counters: new Set(Object.values(dropCounters)) };
}

const mapName = (direction: Direction, family: Family): string => `${direction}-${family}`;
const podChain = (direction: Direction, id: string): string => `${direction}-pod-${readable(id)}`;
const policyChain = (direction: Direction, id: string): string => `${direction}-policy-${readable(id)}`;

/** A name of nft for a Kubernetes name: as much of it as fits, and a hash that tells equal beginnings apart. */
const readable = (id: string): string => `${id.replaceAll(/[^A-Za-z0-9-]/g, '_').slice(0, 60)}-${hash(id)}`;

function baseChain(direction: Direction): NftChain {
  const side = direction === 'egress' ? 'saddr' : 'daddr';
  return {
    hook: { type: 'filter', hook: 'forward', priority: direction === 'egress' ? 0 : 1, policy: 'accept' },
    rules: [
      // Replies of an allowed connection. Its own direction is asked again for every packet, so that a new policy bites on a connection that stands
      // already: deleting its conntrack entry would not do, for the server's next packet would then open it again from the other end.
      {
        matches: [
          { match: 'ct-direction', direction: 'reply' },
          { match: 'ct-state', states: ['established'] },
        ],
        verdict: accept,
      },
      // ICMP errors about a connection, in either direction.
      { matches: [{ match: 'ct-state', states: ['related'] }], verdict: accept },
      ...families.map(
        (family): NftRule => ({
          matches: [],
          verdict: { verdict: 'vmap', of: [addressSelector(family, side)], map: mapName(direction, family) },
        }),
      ),
    ],
  };
}

function podRules(direction: Direction, pod: IsolatedPod, opening: readonly string[]): NftRule[] {
  const peerSide = direction === 'egress' ? 'daddr' : 'saddr';
  return [
    // A pod cannot be kept from itself, by way of a Service either.
    ...pod.addresses.map(
      ({ family, text }): NftRule => ({
        matches: [{ match: 'is', of: addressSelector(family, peerSide), values: [text] }],
        verdict: accept,
      }),
    ),
    ...opening.map((id): NftRule => ({ matches: [], verdict: { verdict: 'jump', chain: policyChain(direction, id) } })),
    { matches: [], counter: dropCounters[direction], count: true, verdict: { verdict: 'drop' }, comment: pod.id },
  ];
}

function policyRules(direction: Direction, policy: CompiledPolicy, endpoints: readonly PodEndpoint[], sets: PolicySets): NftRule[] {
  const rules: NftRule[] = [];
  const peerSide = direction === 'egress' ? 'daddr' : 'saddr';
  for (const rule of policy[direction] ?? []) {
    if (rule.peers !== 'any') {
      for (const peer of rule.peers) {
        for (const family of families) {
          const set = sets.peer(peer, family);
          if (!set) continue;
          const from: NftMatch = { match: 'in', of: [addressSelector(family, peerSide)], set };
          rules.push(...portMatches(direction, rule, policy, peer, family, endpoints, sets).map((ports) => allow([from, ...ports])));
        }
      }
      continue;
    }
    rules.push(...numberedPorts(rule.ports).map((ports) => allow(ports)));
    for (const family of families)
      rules.push(...namedPorts(direction, rule.ports, policy, undefined, family, endpoints, sets).map((ports) => allow(ports)));
  }
  return rules;
}

const allow = (matches: readonly NftMatch[]): NftRule => ({ matches, verdict: accept });

function portMatches(
  direction: Direction,
  rule: PolicyRule,
  policy: CompiledPolicy,
  peer: Peer,
  family: Family,
  endpoints: readonly PodEndpoint[],
  sets: PolicySets,
): NftMatch[][] {
  return [...numberedPorts(rule.ports), ...namedPorts(direction, rule.ports, policy, peer, family, endpoints, sets)];
}

const nftProtocol = (protocol: Protocol): NftProtocol => protocol.toLowerCase() as NftProtocol;

/** Alternatives, each a list of matches that must all hold; any port is one alternative that asks for nothing. */
function numberedPorts(ports: PolicyRule['ports']): NftMatch[][] {
  if (ports === 'any') return [[]];
  return protocols.flatMap((protocol): NftMatch[][] => {
    const own = ports.filter((port) => nftProtocol(port.protocol) === protocol);
    if (own.some(({ kind }) => kind === 'protocol')) return [[{ match: 'is', of: 'meta l4proto', values: [protocol] }]];
    const numbers = mergePorts(own.flatMap((port) => (port.kind === 'numbers' ? [[port.first, port.last] as const] : [])));
    return numbers.length > 0 ? [[{ match: 'port', side: 'dport', protocol, ports: numbers }]] : [];
  });
}

/** Disjoint and not touching, in order: nft would write touching ones differently than we do. */
function mergePorts(ports: readonly NftPorts[]): NftPorts[] {
  const merged: [number, number][] = [];
  for (const [first, last] of [...ports].sort((a, b) => a[0] - b[0])) {
    const before = merged.at(-1);
    if (before && first <= before[1] + 1) before[1] = Math.max(before[1], last);
    else merged.push([first, last]);
  }
  return merged;
}

/** Named ports mean the destination's: of the selected pods for ingress, of the peers for egress. */
function namedPorts(
  direction: Direction,
  ports: PolicyRule['ports'],
  policy: CompiledPolicy,
  peer: Peer | undefined,
  family: Family,
  endpoints: readonly PodEndpoint[],
  sets: PolicySets,
): NftMatch[][] {
  if (ports === 'any') return [];
  const names = ports.filter((port) => port.kind === 'name');
  if (names.length === 0) return [];
  const isDestination = direction === 'ingress' ? (id: string) => policy.selects.includes(id) : undefined;
  const key = direction === 'ingress' ? `ingress ${policy.id}` : `egress ${peer ? `${peer.kind} ${peer.key}` : 'any'}`;
  const candidates = isDestination ? endpoints.filter(({ id }) => isDestination(id)) : peer?.kind === 'pods' ? peer.pods : endpoints;
  return names.flatMap((port): NftMatch[][] => {
    const set = sets.namedPort(`${key} ${port.protocol} ${port.name}`, port, candidates, direction === 'egress' ? peer : undefined, family);
    return set ? [[{ match: 'in', of: [addressSelector(family, 'daddr'), `${nftProtocol(port.protocol)} dport`], set }]] : [];
  });
}
