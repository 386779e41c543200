import type {
  IptablesChain,
  IptablesRule,
  IptablesRuleset,
  IptablesTable,
  IptablesTableName,
  KnownRule,
} from '../../dataplane/iptables.ts';
import { jumpOf } from '../../dataplane/iptables.ts';
import type { IptablesOwner } from '../../dataplane/iptables-diff.ts';
import { PartedMap } from '../../dataplane/parted-map.ts';
import { addressBits, type Family, type Prefix, parsePrefix, prefixesOverlap, prefixOf } from '../../net/index.ts';
import type { NodeFacts } from '../input.ts';
import { localTraffic } from '../local-traffic.ts';
import type { ProxyModel } from '../model.ts';
import { type ProxyOptions, prefixesOf } from '../options.ts';
import { chains, isProxyChain } from './chains.ts';
import { accept, comment, ctstate, destination, destinationIsLocal, drop, jump, returns, rule } from './rules.ts';
import { createBucketedDispatch, type Dispatch, flatDispatch } from './dispatch.ts';
import { createPortParts } from './port-parts.ts';
import { type RenderedService, renderService, type ServiceRenderContext } from './service.ts';

/** The model in kube-proxy's chain layout: our chains whole, and of the built-in chains our jumps only. */
export const renderIptables = (model: ProxyModel, node: NodeFacts, options: ProxyOptions): IptablesRuleset =>
  createIptablesRenderer(options)(model, node);

/**
 * As {@link renderIptables}, keeping what was rendered of a service port as long as the same model object comes again. The table nat is made of
 * parts, the first of them of no service in particular, so that what has changed is found by comparing parts.
 */
export function createIptablesRenderer(options: ProxyOptions): (model: ProxyModel, node: NodeFacts) => IptablesRuleset {
  let context: ServiceRenderContext | undefined;
  let lastKey = '';
  const parts = createPortParts<RenderedService>((port) => renderService(port, context!));
  const dispatch = options.iptablesDispatch === 'bucketed' ? createBucketedDispatch() : flatDispatch;
  return (model, node) => {
    const { family } = model;
    const now = { family, local: localTraffic(options, node, family), masqueradeAll: options.masqueradeAll };
    const key = JSON.stringify(now);
    if (key !== lastKey) parts.forget();
    lastKey = key;
    context = now;
    return assemble(parts.of(model.services).parts, family, node, options, dispatch);
  };
}

function assemble(
  services: readonly RenderedService[],
  family: Family,
  node: NodeFacts,
  options: ProxyOptions,
  dispatch: Dispatch,
): IptablesRuleset {
  const all = (part: (service: RenderedService) => readonly KnownRule[]): KnownRule[] => {
    const rules: KnownRule[] = [];
    for (const service of services) for (const each of part(service)) rules.push(each);
    return rules;
  };
  const { rules, buckets } = dispatch(all(({ natServices }) => natServices));
  const shared = new Map<string, IptablesChain>(Object.entries(natJumps));
  shared.set(chains.services, { rules: [...rules, ...nodePortJumps(family, node, options)] });
  for (const [name, chain] of buckets) shared.set(name, chain);
  shared.set(chains.nodePorts, { rules: all(({ natNodePorts }) => natNodePorts) });
  shared.set(chains.postrouting, { rules: postroutingRules(options) });
  shared.set(chains.markMasq, { rules: [{ matches: [], target: { target: 'mark', ...masqueradeMark(options) } }] });

  const withFirewall = usesFirewall(family, options);
  const filter = new Map<string, IptablesChain>(Object.entries(filterJumps(withFirewall)));
  filter.set(chains.services, { rules: all(({ filterServices }) => filterServices) });
  filter.set(chains.externalServices, { rules: all(({ filterExternalServices }) => filterExternalServices) });
  filter.set(chains.nodePorts, { rules: all(({ filterNodePorts }) => filterNodePorts) });
  filter.set(chains.proxyFirewall, { rules: all((service) => service.proxyFirewall) });
  filter.set(chains.forward, { rules: forwardRules(options) });
  if (withFirewall) filter.set(chains.firewall, { rules: [martianRule] });
  return {
    family,
    tables: new Map<IptablesTableName, IptablesTable>([
      ['nat', new PartedMap([shared, ...services.map(({ ownChains }) => ownChains)])],
      ['filter', filter],
    ]),
  };
}

const masqueradeMark = ({ masqueradeBit }: ProxyOptions): { value: number; mask: number } => ({
  value: (1 << masqueradeBit) >>> 0,
  mask: (1 << masqueradeBit) >>> 0,
});

const portals = comment('kubernetes service portals');
const natJumps: Readonly<Record<string, IptablesChain>> = {
  PREROUTING: { rules: [rule([portals], jump(chains.services))] },
  OUTPUT: { rules: [rule([portals], jump(chains.services))] },
  POSTROUTING: { rules: [rule([comment('kubernetes postrouting rules')], jump(chains.postrouting))] },
};

function filterJumps(withFirewall: boolean): Readonly<Record<string, IptablesChain>> {
  const balancer = rule([ctstate('NEW'), comment('kubernetes load balancer firewall')], jump(chains.proxyFirewall));
  const external = rule([ctstate('NEW'), comment('kubernetes externally-visible service portals')], jump(chains.externalServices));
  const services = rule([ctstate('NEW'), portals], jump(chains.services));
  const martians = withFirewall ? [rule([comment('kubernetes martian filter')], jump(chains.firewall))] : [];
  return {
    INPUT: { rules: [...martians, balancer, rule([comment('kubernetes health check service ports')], jump(chains.nodePorts)), external] },
    FORWARD: { rules: [balancer, rule([comment('kubernetes forwarding rules')], jump(chains.forward)), services, external] },
    // kube-proxy has no `external` here, so that the node's own processes wait in vain for an external address without endpoints.
    OUTPUT: { rules: [...martians, balancer, services, external] },
  };
}

/** The last rules of KUBE-SERVICES: whatever else is for an address of this node may be for a node port. */
function nodePortJumps(family: Family, node: NodeFacts, options: ProxyOptions): KnownRule[] {
  const text = comment('kubernetes service nodeports; NOTE: this must be the last rule in this chain');
  // On IPv6 node ports never work by ::1, because a packet from it cannot leave the node.
  const loopback = family === 6 ? '::1/128' : options.localhostNodePorts ? undefined : '127.0.0.0/8';
  const notLoopback = loopback === undefined ? [] : [{ match: 'destination', prefix: loopback, not: true } as const];
  const prefixes = prefixesOfNodePorts(family, node, options);
  if (prefixes.some((prefix) => prefix.length === 0)) return [rule([text, destinationIsLocal, ...notLoopback], jump(chains.nodePorts))];
  const overlapping = loopback !== undefined && prefixes.some((prefix) => prefixesOverlap(prefix, parsePrefix(loopback)));
  return [
    // One rule cannot match the destination twice.
    ...(overlapping ? [rule([text, ...destination(loopback)], returns)] : []),
    ...prefixes.map((prefix) => rule([text, ...destination(prefix.text), destinationIsLocal], jump(chains.nodePorts))),
  ];
}

function prefixesOfNodePorts(family: Family, { internalIP }: NodeFacts, { nodePortAddresses }: ProxyOptions): Prefix[] {
  if (nodePortAddresses.length === 0) return [parsePrefix(family === 4 ? '0.0.0.0/0' : '::/0')];
  if (nodePortAddresses[0] !== 'primary') return prefixesOf(nodePortAddresses, family);
  return internalIP ? [prefixOf(internalIP, addressBits(family))] : [];
}

function postroutingRules(options: ProxyOptions): KnownRule[] {
  const mark = masqueradeMark(options);
  return [
    rule([{ match: 'mark', ...mark, not: true }], returns),
    // Taken off again, so that a packet that crosses the rules twice (by a tunnel) is masqueraded once.
    { matches: [], target: { target: 'mark', value: mark.value, mask: 0 } },
    rule([comment('kubernetes service traffic requiring SNAT')], { target: 'masquerade', randomFully: true }),
  ];
}

function forwardRules(options: ProxyOptions): KnownRule[] {
  return [
    // A late answer outside of the window would pass without its address being put back, and the client would answer it with RST (k/k#74839).
    ...(options.conntrack.tcpBeLiberal ? [] : [rule([ctstate('INVALID')], drop)]),
    rule([comment('kubernetes forwarding rules'), { match: 'mark', ...masqueradeMark(options) }], accept),
    rule([comment('kubernetes forwarding conntrack rule'), ctstate('RELATED', 'ESTABLISHED')], accept),
  ];
}

/** route_localnet lets other machines reach services on 127.0.0.1; this keeps them out (CVE-2020-8558). */
const martianRule = rule(
  [
    comment('block incoming localnet connections'),
    { match: 'source', prefix: '127.0.0.0/8', not: true },
    { match: 'destination', prefix: '127.0.0.0/8' },
    { match: 'ctstate', states: ['RELATED', 'ESTABLISHED', 'DNAT'], not: true },
  ],
  drop,
);

const usesFirewall = (family: Family, options: ProxyOptions): boolean => family === 4 && options.localhostNodePorts;

/** What in the tables is the proxy's: its chains, and in the built-in chains the commented jumps to them. */
export function proxyOwner(family: Family, options: ProxyOptions): IptablesOwner {
  const withFirewall = usesFirewall(family, options);
  const ownsChain = (table: IptablesTableName, chain: string): boolean => isProxyChain(table, chain, withFirewall);
  return {
    ownsChain,
    ownsRule(table: IptablesTableName, _chain: string, candidate: IptablesRule): boolean {
      const target = jumpOf(candidate);
      if (target === undefined || !ownsChain(table, target) || !('matches' in candidate)) return false;
      return candidate.matches.some((match) => match.match === 'comment' && match.text.startsWith('kubernetes '));
    },
  };
}

/** The state in which nothing of the proxy is left. */
export const emptyIptables = (family: Family): IptablesRuleset => ({ family, tables: new Map() });
