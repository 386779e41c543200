import type { IptablesChain, IptablesTarget, KnownRule } from '../../dataplane/iptables.ts';
import { defaultReject } from '../../dataplane/iptables.ts';
import { oddsOf } from '../../dataplane/iptables-parse.ts';
import type { Family, Protocol } from '../../net/index.ts';
import { clusterChain, endpointChain, externalChain, firewallChain, localChain } from '../chain-names.ts';
import { type LocalTraffic, localMatch } from '../local-traffic.ts';
import type { Backend, ServicePortModel } from '../model.ts';
import { chains } from './chains.ts';
import { comment, destination, destinationIsLocal, drop, host, jump, rule, source, sourceIsLocal, toPort } from './rules.ts';

/** What one service port adds to the shared chains, and its own chains of the nat table. */
export interface RenderedService {
  readonly natServices: readonly KnownRule[];
  readonly natNodePorts: readonly KnownRule[];
  readonly filterServices: readonly KnownRule[];
  readonly filterExternalServices: readonly KnownRule[];
  readonly filterNodePorts: readonly KnownRule[];
  readonly proxyFirewall: readonly KnownRule[];
  readonly ownChains: ReadonlyMap<string, IptablesChain>;
}

export interface ServiceRenderContext {
  readonly family: Family;
  readonly local: LocalTraffic;
  readonly masqueradeAll: boolean;
}

const markMasq = jump(chains.markMasq);

/** One service port in kube-proxy's layout, with its comments. */
export function renderService(port: ServicePortModel, context: ServiceRenderContext): RenderedService {
  const { family } = context;
  const { name, protocol } = port;
  const rendered = {
    natServices: [] as KnownRule[],
    natNodePorts: [] as KnownRule[],
    filterServices: [] as KnownRule[],
    filterExternalServices: [] as KnownRule[],
    filterNodePorts: [] as KnownRule[],
    proxyFirewall: [] as KnownRule[],
    ownChains: new Map<string, IptablesChain>(),
  };
  const to = (address: string) => [...destination(host(address, family)), ...toPort(protocol, port.port)];
  const internalBackends = port.internalPolicy === 'Local' ? port.localBackends : port.clusterBackends;
  const externalBackends = port.externalPolicy === 'Local' ? port.localBackends : port.clusterBackends;
  // Without any endpoint the client is told at once; with endpoints only on other nodes it is kept waiting, as the policy wants.
  const refusal = port.hasEndpoints ? drop : reject(protocol, family);
  const why = comment(`${name} ${port.hasEndpoints ? 'has no local endpoints' : 'has no endpoints'}`);

  const internalChain = port.internalPolicy === 'Local' ? localChain(port) : clusterChain(port);
  if (internalBackends.length > 0)
    rendered.natServices.push(rule([comment(`${name} cluster IP`), ...to(port.clusterIP)], jump(internalChain)));
  else rendered.filterServices.push(rule([why, ...to(port.clusterIP)], refusal));

  const firewalled = port.loadBalancerIPs.length > 0 && port.sourceRanges.length > 0;
  for (const [addresses, kind, target] of [
    [port.externalIPs, 'external IP', externalChain],
    [port.loadBalancerIPs, 'loadbalancer IP', firewalled ? firewallChain : externalChain],
  ] as const) {
    for (const address of addresses) {
      if (port.hasEndpoints) rendered.natServices.push(rule([comment(`${name} ${kind}`), ...to(address)], jump(target(port))));
      if (externalBackends.length === 0) rendered.filterExternalServices.push(rule([why, ...to(address)], refusal));
    }
  }
  if (port.nodePort !== undefined) {
    if (port.hasEndpoints) rendered.natNodePorts.push(rule([comment(name), ...toPort(protocol, port.nodePort)], jump(externalChain(port))));
    if (externalBackends.length === 0) {
      rendered.filterExternalServices.push(rule([why, destinationIsLocal, ...toPort(protocol, port.nodePort)], refusal));
    }
  }
  if (port.healthCheckNodePort !== undefined) {
    rendered.filterNodePorts.push(
      rule([comment(`${name} health check node port`), ...toPort('TCP', port.healthCheckNodePort)], { target: 'accept' }),
    );
  }

  if (!port.hasEndpoints) return rendered;
  if (port.external) rendered.ownChains.set(externalChain(port), { rules: externalRules(port, context, externalBackends) });
  if (firewalled) {
    rendered.ownChains.set(firewallChain(port), { rules: firewallRules(port, family) });
    const unaccepted = comment(`${name} traffic not accepted by ${firewallChain(port)}`);
    for (const address of port.loadBalancerIPs) rendered.proxyFirewall.push(rule([unaccepted, ...to(address)], drop));
  }
  const endpointChains = new Map(port.backends.map((backend) => [backend, endpointChain(port, backend)]));
  for (const [chainOf, backends] of [
    [clusterChain, port.clusterBackends],
    [localChain, port.localBackends],
  ] as const) {
    if (backends.length === 0) continue;
    const chain = chainOf(port);
    const masquerade = chain === internalChain ? clusterIPMasquerade(port, context) : [];
    rendered.ownChains.set(chain, { rules: [...masquerade, ...balancingRules(port, backends, endpointChains)] });
  }
  for (const [backend, chain] of endpointChains) rendered.ownChains.set(chain, { rules: endpointRules(port, backend, chain, family) });
  return rendered;
}

/**
 * kube-proxy answers with an ICMP error. Linux's TCP gives up at once only on the IPv4 one, and only while the rate limit for ICMP lets it
 * through (seen on 6.18: over IPv6, and from the seventh refusal on, it takes a retransmission, 1 s). A reset has neither flaw.
 */
const reject = (protocol: Protocol, family: Family): IptablesTarget => ({
  target: 'reject',
  with: protocol === 'TCP' ? 'tcp-reset' : defaultReject(family),
});

/** Outsiders who use the cluster IP are masqueraded, so that the answer comes back through this node. */
function clusterIPMasquerade(port: ServicePortModel, { family, local, masqueradeAll }: ServiceRenderContext): KnownRule[] {
  if (!masqueradeAll && !local) return [];
  const others = masqueradeAll || !local ? [] : [localMatch(local, true)];
  return [
    rule(
      [comment(`${port.name} cluster IP`), ...others, ...destination(host(port.clusterIP, family)), ...toPort(port.protocol, port.port)],
      markMasq,
    ),
  ];
}

function externalRules(port: ServicePortModel, { local }: ServiceRenderContext, backends: readonly Backend[]): KnownRule[] {
  const { name } = port;
  const rules: KnownRule[] = [];
  if (port.externalPolicy === 'Cluster') rules.push(rule([comment(`masquerade traffic for ${name} external destinations`)], markMasq));
  else if (port.clusterBackends.length > 0) {
    // Pods and the node itself are not outsiders: they reach every endpoint also by an external address.
    const toAll = jump(clusterChain(port));
    if (local) rules.push(rule([comment(`pod traffic for ${name} external destinations`), localMatch(local, false)], toAll));
    rules.push(rule([comment(`masquerade LOCAL traffic for ${name} external destinations`), sourceIsLocal], markMasq));
    rules.push(rule([comment(`route LOCAL traffic for ${name} external destinations`), sourceIsLocal], toAll));
  }
  if (backends.length > 0)
    rules.push({ matches: [], target: jump(port.externalPolicy === 'Local' ? localChain(port) : clusterChain(port)) });
  return rules;
}

/** Who is let in returns no more; who is not falls out of the chain without DNAT, and KUBE-PROXY-FIREWALL drops it. */
function firewallRules(port: ServicePortModel, family: Family): KnownRule[] {
  const text = comment(`${port.name} loadbalancer IP`);
  const allow = (prefix: string): KnownRule => rule([text, ...source(prefix)], jump(externalChain(port)));
  const rules = port.sourceRanges.map(allow);
  // A node whose routes hold the address as its own sends to it with the address itself as the source.
  if (port.sourceRangesHoldNode) rules.push(...port.loadBalancerIPs.map((address) => allow(host(address, family))));
  return rules;
}

/** Rule i of n is taken with odds 1/(n-i), which makes all equally likely; a client with affinity goes first to where it was. */
function balancingRules(port: ServicePortModel, backends: readonly Backend[], endpointChains: ReadonlyMap<Backend, string>): KnownRule[] {
  const rules: KnownRule[] = [];
  const arrow = (backend: Backend) => comment(`${port.name} -> ${backend.text}`);
  if (port.affinitySeconds !== undefined) {
    for (const backend of backends) {
      const chain = endpointChains.get(backend)!;
      rules.push(
        rule(
          [arrow(backend), { match: 'recent', operation: 'rcheck', name: chain, seconds: port.affinitySeconds, reap: true }],
          jump(chain),
        ),
      );
    }
  }
  for (const [index, backend] of backends.entries()) {
    const odds = oddsOf(1 / (backends.length - index));
    const last = index === backends.length - 1;
    rules.push(rule([arrow(backend), ...(last ? [] : [{ match: 'statistic', odds } as const])], jump(endpointChains.get(backend)!)));
  }
  return rules;
}

function endpointRules(port: ServicePortModel, backend: Backend, chain: string, family: Family): KnownRule[] {
  const text = comment(port.name);
  const [protocol] = toPort(port.protocol, backend.port);
  return [
    // Hairpin: a pod that reaches itself must see another source, or it would answer itself past the connection tracking.
    rule([text, ...source(host(backend.address, family))], markMasq),
    rule([text, ...(port.affinitySeconds === undefined ? [] : [{ match: 'recent', operation: 'set', name: chain } as const]), protocol!], {
      target: 'dnat',
      to: backend.text,
    }),
  ];
}
