import {
  addressKey,
  addressSelector,
  type NftChain,
  type NftElement,
  type NftHook,
  type NftKeyType,
  type NftMatch,
  type NftRule,
  type NftSet,
  type NftTable,
} from '../../dataplane/nft.ts';
import type { ListEdit, ListEdits } from '../../dataplane/list-edits.ts';
import { printElementValue } from '../../dataplane/nft-print.ts';
import { PartedMap } from '../../dataplane/parted-map.ts';
import { type Family, parsePrefix, prefixesOverlap } from '../../net/index.ts';
import type { NodeFacts } from '../input.ts';
import { localTraffic } from '../local-traffic.ts';
import type { ProxyModel } from '../model.ts';
import { type ProxyOptions, prefixesOf } from '../options.ts';
import { createPortParts } from './port-parts.ts';
import { balanceByMaps } from './nft/fast.ts';
import { jump, type NftRenderContext, rule, type ServicePart, serviceSelectors, type SharedSet } from './nft/parts.ts';
import { balanceByChains, servicePart } from './nft/service.ts';

/** `compat`: kube-proxy's chains. `fast`: the same decisions by data alone. */
export type NftLayout = 'compat' | 'fast';

/** The proxy's table: one of family ip, one of family ip6. */
export const proxyTable = 'podwire-proxy';

/** The model as one nftables table. */
export const renderNftables = (model: ProxyModel, node: NodeFacts, options: ProxyOptions, layout: NftLayout): NftTable =>
  createNftablesRenderer(options, layout)(model, node);

/**
 * As {@link renderNftables}, keeping what was rendered of a service port as long as the same model object comes again. When only a few ports are
 * others, only the sets that they have elements in are made anew, by their parts.
 */
export function createNftablesRenderer(options: ProxyOptions, layout: NftLayout): (model: ProxyModel, node: NodeFacts) => NftTable {
  const balance = layout === 'fast' ? balanceByMaps : balanceByChains;
  // Shared chains are kept with the context, for most services lead to the same few.
  let context: NftRenderContext | undefined;
  let last: Rendering | undefined;
  let lastKey = '';
  const parts = createPortParts<ServicePart>((port, before) => keepSame(servicePart(port, context!, balance), before));
  return (model, node) => {
    const nodePorts = new Map(nodePortAddresses(node, options));
    const setting = {
      family: model.family,
      local: localTraffic(options, node, model.family),
      masqueradeAll: options.masqueradeAll,
      mark: (1 << options.masqueradeBit) >>> 0,
    };
    const key = JSON.stringify([setting, [...nodePorts.keys()]]);
    if (key !== lastKey || !context) {
      context = { ...setting, known: new Map() };
      last = undefined;
      lastKey = key;
      parts.forget();
    }
    const now = parts.of(model.services);
    if (last && now.edits && now.edits.removed.length + now.edits.added.length === 0) return last.table;
    const table = last && now.edits ? patch(last, now.parts, now.edits) : assemble(now.parts, context, nodePorts, options, layout);
    last = { leading: last && now.edits ? last.leading : countLeading(now.parts), table };
    return table;
  };
}

/** A table that the next one may be made of. */
interface Rendering {
  /** How many parts lead to each shared chain; changed in place by the next rendering. */
  readonly leading: Map<string, number>;
  readonly table: NftTable;
}

/** The part, with what is as in the one before taken from that, so that sets which do not change are seen to be the same. */
function keepSame(part: ServicePart, before: ServicePart | undefined): ServicePart {
  if (!before) return part;
  const elements = new Map(part.elements);
  for (const [name, own] of elements) {
    const had = before.elements.get(name);
    if (had && sameEntries(had, own)) elements.set(name, had);
  }
  const { sharedChains, ownChains, affinitySets } = part;
  return { elements, sharedChains, ownChains, affinitySets };
}

const sameEntries = (a: NftSet['elements'], b: NftSet['elements']): boolean =>
  a.size === b.size && [...a].every(([key, element]) => b.has(key) && printElementValue(b.get(key)) === printElementValue(element));

function assemble(
  parts: readonly ServicePart[],
  context: NftRenderContext,
  nodePorts: NftSet['elements'],
  options: ProxyOptions,
  layout: NftLayout,
): NftTable {
  const { family } = context;
  const sets = new Map<string, NftSet>();
  for (const [name, set] of sharedSets(family, layout)) sets.set(name, { ...set, elements: joinElements(name, parts) });
  sets.set('nodeport-ips', { ...plainSet([addressKey(family)]), elements: nodePorts });
  const chains = new Map(baseChains(context, options, layout));
  for (const part of parts) addOwn(part, family, chains, sets);
  return { family: family === 4 ? 'ip' : 'ip6', name: proxyTable, chains, sets, counters: new Set() };
}

/** A part for each service, or none at all while no service has elements in the set. */
function joinElements(name: SharedSet, parts: readonly ServicePart[]): NftSet['elements'] {
  const own = parts.map(({ elements }) => elements.get(name));
  // Several ports of a service have one cluster IP, and several services one pod.
  return new PartedMap(own.some((part) => part) ? own : [], name === 'cluster-ips' || name === 'hairpin');
}

/** The chains that a service leads to, and the sets that remember its clients. */
function addOwn(
  { sharedChains, ownChains, affinitySets }: ServicePart,
  family: Family,
  chains: Map<string, NftChain>,
  sets: Map<string, NftSet>,
): void {
  for (const [name, chain] of sharedChains) if (!chains.has(name)) chains.set(name, chain);
  for (const [name, chain] of ownChains) chains.set(name, chain);
  for (const [name, timeout] of affinitySets) sets.set(name, { ...plainSet([addressKey(family)]), timeout, elements: new Map() });
}

function countLeading(parts: readonly ServicePart[]): Map<string, number> {
  const leading = new Map<string, number>();
  for (const { sharedChains } of parts) for (const name of sharedChains.keys()) leading.set(name, (leading.get(name) ?? 0) + 1);
  return leading;
}

/** The table with some parts replaced. */
function patch({ table, leading }: Rendering, parts: readonly ServicePart[], edits: ListEdits<ServicePart>): NftTable {
  const removed = edits.removed.map(({ value }) => value);
  const added = edits.added.map(({ value }) => value);
  const sets = new Map(table.sets);
  const inPlace = edits.removed.length === edits.added.length && edits.removed.every(({ index }, at) => index === edits.added[at]!.index);
  for (const [name, set] of table.sets) {
    // What is no parted map belongs to no service, or to one alone. The others keep a place for every service, so that places move together.
    if (!(set.elements instanceof PartedMap)) continue;
    const of = ({ index, value }: ListEdit<ServicePart>) => ({ index, value: value.elements.get(name as SharedSet) });
    const own = { removed: edits.removed.map(of), added: edits.added.map(of) };
    if (inPlace && own.removed.every(({ value }, at) => value === own.added[at]!.value)) continue;
    const elements = set.elements as PartedMap<string, NftElement>;
    if (elements.parts.length > 0) sets.set(name, { ...set, elements: elements.edited(own) });
    else if (own.added.some(({ value }) => value)) sets.set(name, { ...set, elements: joinElements(name as SharedSet, parts) });
  }
  const chains = new Map(table.chains);
  for (const { sharedChains, ownChains, affinitySets } of removed) {
    for (const name of ownChains.keys()) chains.delete(name);
    for (const name of affinitySets.keys()) sets.delete(name);
    for (const name of sharedChains.keys()) {
      const left = leading.get(name)! - 1;
      leading.set(name, left);
      if (left === 0) chains.delete(name);
    }
  }
  for (const part of added) {
    for (const name of part.sharedChains.keys()) leading.set(name, (leading.get(name) ?? 0) + 1);
    addOwn(part, table.family === 'ip' ? 4 : 6, chains, sets);
  }
  return { ...table, sets, chains };
}

const plainSet = (key: readonly NftKeyType[]) => ({ key, interval: false, verdicts: false });

function sharedSets(family: Family, layout: NftLayout): Map<SharedSet, Omit<NftSet, 'elements'>> {
  const address = addressKey(family);
  const service: readonly NftKeyType[] = [address, 'inet_proto', 'inet_service'];
  const nodePort: readonly NftKeyType[] = ['inet_proto', 'inet_service'];
  const verdictMap = (key: readonly NftKeyType[]) => ({ key, interval: false, verdicts: true });
  const sets = new Map<SharedSet, Omit<NftSet, 'elements'>>([
    ['cluster-ips', plainSet([address])],
    ['service-ips', verdictMap(service)],
    ['service-nodeports', verdictMap(nodePort)],
    ['no-endpoint-services', verdictMap(service)],
    ['no-endpoint-nodeports', verdictMap(nodePort)],
    ['firewall-ips', verdictMap(service)],
  ]);
  if (layout === 'compat') return sets;
  sets.set('hairpin', plainSet([address, address]));
  const data: readonly NftKeyType[] = [address, 'inet_service'];
  for (const protocol of ['tcp', 'udp', 'sctp'] as const) {
    for (const near of ['', 'local-'] as const) {
      sets.set(`${near}backends-${protocol}`, { ...plainSet([address, 'inet_service', 'integer']), data, protocol });
      sets.set(`${near}nodeport-backends-${protocol}`, { ...plainSet(['inet_service', 'integer']), data, protocol });
    }
  }
  return sets;
}

/**
 *     prerouting -110  new: firewall           output -110  new: firewall
 *     prerouting -100  nat: services           output -100  nat: services
 *     input, forward   new: refusals           output  -90  new: refusals, cluster IPs
 *                      forward: cluster IPs    postrouting 100  nat: masquerading
 *
 * Refusals come after DNAT: what insiders reach in spite of a policy Local has another destination by then.
 */
function baseChains(context: NftRenderContext, options: ProxyOptions, layout: NftLayout): [string, NftChain][] {
  const { family, mark } = context;
  const base = (type: NftHook['type'], hook: NftHook['hook'], priority: number, rules: readonly NftRule[]): NftChain => ({
    hook: { type, hook, priority, policy: 'accept' },
    rules,
  });
  const isNew: NftMatch = { match: 'ct-state', states: ['new'] };
  const service = serviceSelectors(family);
  const toNodePorts: NftMatch[] = [{ match: 'is', of: 'fib daddr type', values: ['local'] }, ...nodePortMatch(family, options)];
  const toServices = [
    rule([], { verdict: 'vmap', of: service, map: 'service-ips' }),
    rule(toNodePorts, { verdict: 'vmap', of: ['meta l4proto', 'th dport'], map: 'service-nodeports' }),
  ];
  const firewall = [rule([isNew], { verdict: 'vmap', of: service, map: 'firewall-ips' })];
  const refuse = rule([isNew], { verdict: 'vmap', of: service, map: 'no-endpoint-services' });
  const refuseNodePorts = rule([isNew, ...toNodePorts], {
    verdict: 'vmap',
    of: ['meta l4proto', 'th dport'],
    map: 'no-endpoint-nodeports',
  });
  const unusedClusterIPs = rule([isNew], jump('cluster-ips-check'));
  const serviceCIDRs = prefixesOf(options.serviceCIDRs, family).map(({ text }) => text);
  const tcp: NftMatch = { match: 'is', of: 'meta l4proto', values: ['tcp'] };
  return [
    ['filter-prerouting', base('filter', 'prerouting', -110, firewall)],
    ['filter-output', base('filter', 'output', -110, firewall)],
    ['nat-prerouting', base('nat', 'prerouting', -100, [rule([], jump('services'))])],
    ['nat-output', base('nat', 'output', -100, [rule([], jump('services'))])],
    ['filter-input', base('filter', 'input', -110, [refuseNodePorts, refuse])],
    [
      'filter-forward',
      base('filter', 'forward', -110, [
        // A late answer outside of the window would pass without its address being put back, and the client would answer it with RST (k/k#74839).
        ...(options.conntrack.tcpBeLiberal ? [] : [rule([{ match: 'ct-state', states: ['invalid'] }], { verdict: 'drop' })]),
        refuse,
        unusedClusterIPs,
      ]),
    ],
    ['filter-output-post-dnat', base('filter', 'output', -90, [refuseNodePorts, refuse, unusedClusterIPs])],
    [
      'nat-postrouting',
      base('nat', 'postrouting', 100, [
        ...(layout === 'fast'
          ? [
              rule(
                [{ match: 'in', of: [addressSelector(family, 'saddr'), addressSelector(family, 'daddr')], set: 'hairpin' }, dnatted],
                masquerade,
              ),
            ]
          : []),
        rule([{ match: 'mark', mask: mark, value: mark }], masquerade, [{ do: 'clear-mark-bits', bits: mark }]),
      ]),
    ],
    ['services', { rules: toServices }],
    [
      'cluster-ips-check',
      {
        rules: [
          rule([{ match: 'in', of: [addressSelector(family, 'daddr')], set: 'cluster-ips' }], jump('refuse')),
          ...serviceCIDRs.map((text) => rule([{ match: 'is', of: addressSelector(family, 'daddr'), values: [text] }], { verdict: 'drop' })),
        ],
      },
    ],
    ['refuse', { rules: [rule([tcp], { verdict: 'goto', chain: 'refuse-tcp' }), rule([], { verdict: 'goto', chain: 'refuse-other' })] }],
    ['refuse-other', { rules: [rule([], { verdict: 'reject', with: 'port-unreachable' })] }],
    // A reset reaches the client at once; the ICMP error is rate-limited, and over IPv6 TCP acts on it only after a second.
    ['refuse-tcp', { rules: [rule([], { verdict: 'reject', with: 'tcp reset' })] }],
  ];
}

const masquerade = { verdict: 'masquerade', fullyRandom: true } as const;
const dnatted: NftMatch = { match: 'is', of: 'ct status', values: ['dnat'] };

/** Node ports are served by the node's primary address unless told otherwise, as kube-proxy does in this mode; never by a loopback address. */
function nodePortMatch(family: Family, options: ProxyOptions): NftMatch[] {
  const prefixes = prefixesOf(cidrsOfNodePorts(options), family);
  if (prefixes.length === 0) return [{ match: 'in', of: [addressSelector(family, 'daddr')], set: 'nodeport-ips' }];
  const loopback = parsePrefix(family === 4 ? '127.0.0.0/8' : '::1/128');
  const matches: NftMatch[] = prefixes.some((prefix) => prefixesOverlap(prefix, loopback))
    ? [{ match: 'is', of: addressSelector(family, 'daddr'), values: [family === 4 ? loopback.text : '::1'], not: true }]
    : [];
  if (!prefixes.some(({ length }) => length === 0))
    matches.push({ match: 'is', of: addressSelector(family, 'daddr'), values: prefixes.map(({ text }) => text) });
  return matches;
}

const isPrimary = ({ nodePortAddresses }: ProxyOptions): boolean => nodePortAddresses.length === 0 || nodePortAddresses[0] === 'primary';
const cidrsOfNodePorts = (options: ProxyOptions): readonly string[] => (isPrimary(options) ? [] : options.nodePortAddresses);

function nodePortAddresses({ internalIP }: NodeFacts, options: ProxyOptions): [string, NftElement][] {
  return isPrimary(options) && internalIP ? [[internalIP.text, undefined]] : [];
}
