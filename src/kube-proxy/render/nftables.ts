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
import { PartedMap } from '../../dataplane/parted-map.ts';
import { type Family, parsePrefix, prefixesOverlap } from '../../net/index.ts';
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

/** As {@link renderNftables}, keeping what was rendered of a service port as long as the same model object comes again. */
export function createNftablesRenderer(options: ProxyOptions, layout: NftLayout): (model: ProxyModel, node: NodeFacts) => NftTable {
  let known = new WeakMap<ServicePortModel, ServicePart>();
  let knownFor = '';
  const balance = layout === 'fast' ? balanceByMaps : balanceByChains;
  return (model, node) => {
    const context: NftRenderContext = {
      family: model.family,
      local: localTraffic(options, node, model.family),
      masqueradeAll: options.masqueradeAll,
      mark: (1 << options.masqueradeBit) >>> 0,
    };
    const key = JSON.stringify(context);
    if (key !== knownFor) known = new WeakMap();
    knownFor = key;
    const parts = model.services.map((port) => {
      const part = known.get(port) ?? servicePart(port, context, balance);
      known.set(port, part);
      return part;
    });
    return assemble(parts, context, node, options, layout);
  };
}

function assemble(
  parts: readonly ServicePart[],
  context: NftRenderContext,
  node: NodeFacts,
  options: ProxyOptions,
  layout: NftLayout,
): NftTable {
  const { family } = context;
  const chains = new Map<string, NftChain>(baseChains(context, options, layout));
  const sets = new Map<string, NftSet>();
  for (const [name, set] of sharedSets(family, layout)) {
    const elements = parts.flatMap((part) => part.elements.get(name) ?? []);
    // Several ports of a service have one cluster IP, and several services one pod.
    const joined = name === 'cluster-ips' || name === 'hairpin' ? new Map(elements.flatMap((each) => [...each])) : new PartedMap(elements);
    sets.set(name, { ...set, elements: joined });
  }
  sets.set('nodeport-ips', { ...plainSet([addressKey(family)]), elements: new Map(nodePortAddresses(node, options)) });
  for (const { sharedChains, ownChains, affinitySets } of parts) {
    for (const [name, chain] of sharedChains) if (!chains.has(name)) chains.set(name, chain);
    for (const [name, chain] of ownChains) chains.set(name, chain);
    for (const [name, timeout] of affinitySets) sets.set(name, { ...plainSet([addressKey(family)]), timeout, elements: new Map() });
  }
  return { family: family === 4 ? 'ip' : 'ip6', name: proxyTable, chains, sets, counters: new Set() };
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
