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
import { printElementValue } from '../../dataplane/nft-print.ts';
import { PartedMap } from '../../dataplane/parted-map.ts';
import { type Family, parsePrefix, prefixesOverlap } from '../../net/index.ts';
import { changedIndexes } from '../changed.ts';
import type { NodeFacts } from '../input.ts';
import { localTraffic } from '../local-traffic.ts';
import type { ProxyModel, ServicePortModel } from '../model.ts';
import { type ProxyOptions, prefixesOf } from '../options.ts';
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
  let last: Rendering | undefined;
  return (model, node) => {
    const context: NftRenderContext = {
      family: model.family,
      local: localTraffic(options, node, model.family),
      masqueradeAll: options.masqueradeAll,
      mark: (1 << options.masqueradeBit) >>> 0,
    };
    const nodePorts = new Map(nodePortAddresses(node, options));
    const key = JSON.stringify([context, [...nodePorts.keys()]]);
    const usable = last?.key === key ? last : undefined;
    const changed = usable && changedIndexes(usable.ports, model.services, maxPatched);
    if (usable && changed?.length === 0) return usable.table;
    const render = (port: ServicePortModel): ServicePart => servicePart(port, context, balance);
    if (usable && changed) {
      const parts = [...usable.parts];
      for (const index of changed) parts[index] = render(model.services[index]!);
      last = { key, ports: model.services, parts, table: patch(usable, parts, changed) };
    } else {
      const known = new Map(usable?.ports.map((port, index) => [port, usable.parts[index]!]));
      const parts = model.services.map((port) => known.get(port) ?? render(port));
      last = { key, ports: model.services, parts, table: assemble(parts, context, nodePorts, options, layout) };
    }
    return last.table;
  };
}

/** A table, and what each service port added to it. */
interface Rendering {
  /** What besides the ports it was rendered for. */
  readonly key: string;
  readonly ports: readonly ServicePortModel[];
  readonly parts: readonly ServicePart[];
  readonly table: NftTable;
}

/** More changed ports than these at once, and the table is put together anew. */
const maxPatched = 256;

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
  addOwn(parts, family, chains, sets);
  return { family: family === 4 ? 'ip' : 'ip6', name: proxyTable, chains, sets, counters: new Set() };
}

function joinElements(name: SharedSet, parts: readonly ServicePart[]): NftSet['elements'] {
  const elements = parts.flatMap((part) => part.elements.get(name) ?? []);
  // Several ports of a service have one cluster IP, and several services one pod.
  return name === 'cluster-ips' || name === 'hairpin' ? new Map(elements.flatMap((each) => [...each])) : new PartedMap(elements);
}

/** The chains that services lead to, and the sets that remember their clients. */
function addOwn(parts: readonly ServicePart[], family: Family, chains: Map<string, NftChain>, sets: Map<string, NftSet>): void {
  for (const { sharedChains, ownChains, affinitySets } of parts) {
    for (const [name, chain] of sharedChains) if (!chains.has(name)) chains.set(name, chain);
    for (const [name, chain] of ownChains) chains.set(name, chain);
    for (const [name, timeout] of affinitySets) sets.set(name, { ...plainSet([addressKey(family)]), timeout, elements: new Map() });
  }
}

/** The table with some parts replaced. */
function patch({ table, parts: before }: Rendering, parts: readonly ServicePart[], changed: readonly number[]): NftTable {
  const pairs = changed.map((index) => [before[index]!, parts[index]!] as const);
  const touched = new Set(pairs.flat().flatMap(({ elements }) => [...elements.keys()]));
  const sets = new Map(table.sets);
  for (const name of touched) {
    if (pairs.every(([old, now]) => sameEntries(old.elements.get(name), now.elements.get(name)))) continue;
    sets.set(name, { ...table.sets.get(name)!, elements: joinElements(name, parts) });
  }
  const chains = new Map(table.chains);
  if (pairs.some(([old, now]) => !sameNames(old.sharedChains, now.sharedChains) || old.ownChains.size + now.ownChains.size > 0)) {
    for (const part of before) for (const own of [part.sharedChains, part.ownChains]) for (const name of own.keys()) chains.delete(name);
    for (const part of before) for (const name of part.affinitySets.keys()) sets.delete(name);
    addOwn(parts, table.family === 'ip' ? 4 : 6, chains, sets);
  }
  return { ...table, sets, chains };
}

const sameNames = (a: ReadonlyMap<string, unknown>, b: ReadonlyMap<string, unknown>): boolean =>
  a.size === b.size && [...a.keys()].every((name) => b.has(name));

function sameEntries(a: NftSet['elements'] | undefined, b: NftSet['elements'] | undefined): boolean {
  if (!a || !b) return a === b;
  return a.size === b.size && [...a].every(([key, element]) => b.has(key) && printElementValue(b.get(key)) === printElementValue(element));
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
      sets.set(`${near}backends-${protocol}`, { ...plainSet([address, 'inet_service', 'integer']), data });
      sets.set(`${near}nodeport-backends-${protocol}`, { ...plainSet(['inet_service', 'integer']), data });
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
        rule([{ match: 'ct-state', states: ['invalid'] }], { verdict: 'drop' }),
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
