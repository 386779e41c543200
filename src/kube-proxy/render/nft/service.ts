import { createHash } from 'node:crypto';
import { addressSelector } from '../../../dataplane/nft.ts';
import type { NftRule } from '../../../dataplane/nft.ts';
import type { Backend, ServicePortModel } from '../../model.ts';
import {
  fromNode,
  fromPrefix,
  goto,
  jump,
  localTrafficMatch,
  lower,
  type NftRenderContext,
  PartBuilder,
  rule,
  serviceKey,
  type ServicePart,
  spreadOver,
  toBackend,
} from './parts.ts';

/** The chains that balance: where traffic of a service goes once it is known whose it is. */
export interface Balancing {
  /** By an address for insiders. */
  readonly internal: string;
  /** By an address for outsiders, and by a node port. */
  readonly external: string;
  readonly nodePort: string;
}

/** What of a service port both layouts have in common: its elements in the shared maps, refusals, firewalls; `balance` makes the chains that they lead to. */
export function servicePart(
  port: ServicePortModel,
  context: NftRenderContext,
  balance: (port: ServicePortModel, context: NftRenderContext, part: PartBuilder) => Balancing,
): ServicePart {
  const part = new PartBuilder(context);
  const { protocol } = port;
  part.element('cluster-ips', port.clusterIP);
  const chains = port.hasEndpoints ? balance(port, context, part) : { internal: '', external: '', nodePort: '' };
  // Without any endpoint the client is told at once; with endpoints only on other nodes it is kept waiting, as the policy wants.
  const refusal = port.hasEndpoints ? ({ verdict: 'drop' } as const) : goto(lower(protocol) === 'tcp' ? 'refuse-tcp' : 'refuse-other');
  const serve = (address: string, backends: readonly Backend[], chain: string): void => {
    const key = serviceKey(address, protocol, port.port);
    if (port.hasEndpoints) part.element('service-ips', key, goto(chain));
    if (backends.length === 0) part.element('no-endpoint-services', key, refusal);
  };
  const [internal, external] = [internalBackends(port), externalBackends(port)];
  // The cluster IP leads nowhere without endpoints that its policy allows; an outer address still serves insiders then.
  if (internal.length > 0) serve(port.clusterIP, internal, chains.internal);
  else part.element('no-endpoint-services', serviceKey(port.clusterIP, protocol, port.port), refusal);
  for (const address of [...port.externalIPs, ...port.loadBalancerIPs]) serve(address, external, chains.external);
  if (port.nodePort !== undefined) {
    const key = `${lower(protocol)} . ${port.nodePort}`;
    if (port.hasEndpoints) part.element('service-nodeports', key, goto(chains.nodePort));
    if (external.length === 0) part.element('no-endpoint-nodeports', key, refusal);
  }
  if (port.hasEndpoints && port.sourceRanges.length > 0 && port.loadBalancerIPs.length > 0) addFirewall(port, context, part);
  return part;
}

export const internalBackends = (port: ServicePortModel): readonly Backend[] =>
  port.internalPolicy === 'Local' ? port.localBackends : port.clusterBackends;
export const externalBackends = (port: ServicePortModel): readonly Backend[] =>
  port.externalPolicy === 'Local' ? port.localBackends : port.clusterBackends;

/** Who is in none of the ranges is dropped before DNAT. */
function addFirewall(port: ServicePortModel, { family }: NftRenderContext, part: PartBuilder): void {
  const allow = (prefix: string): NftRule => rule([fromPrefix(family, prefix)], { verdict: 'return' });
  const own = family === 4 ? 32 : 128;
  const rules = [
    ...port.sourceRanges.map(allow),
    // A node whose routes hold the address as its own sends to it with the address itself as the source.
    ...(port.sourceRangesHoldNode ? port.loadBalancerIPs.map((address) => allow(`${address}/${own}`)) : []),
    rule([], { verdict: 'drop' }),
  ];
  const chain = part.own(`firewall-${nameOf(port)}`, rules);
  for (const address of port.loadBalancerIPs) part.element('firewall-ips', serviceKey(address, port.protocol, port.port), goto(chain));
}

/** As much of `namespace/name/protocol/port` as a chain's name may hold, after a hash that tells equal beginnings apart; as kube-proxy names them. */
const nameOf = (port: ServicePortModel): string => {
  const [namespace = '', rest = ''] = port.service.split('/');
  const portName = port.name.slice(port.service.length + 1);
  return `${shortHash(port.name + lower(port.protocol))}-${namespace}/${rest}/${lower(port.protocol)}/${portName}`.slice(0, 100);
};

const shortHash = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 8).toUpperCase();

/** Rules for what comes to an outer address, before it is balanced over `outside`; `inside` has all endpoints. */
function externalRules(port: ServicePortModel, context: NftRenderContext, inside: string, outside: string | undefined): NftRule[] {
  const masquerade = { do: 'set-mark-bits', bits: context.mark } as const;
  if (port.externalPolicy === 'Cluster') return [rule([], undefined, [masquerade]), rule([], goto(inside))];
  const rules: NftRule[] = [];
  if (port.clusterBackends.length > 0) {
    // Pods and the node itself are not outsiders: they reach every endpoint also by an external address.
    if (context.local) rules.push(rule([localTrafficMatch(context.family, context.local, false)], goto(inside)));
    rules.push(rule([fromNode], goto(inside), [masquerade]));
  }
  if (outside !== undefined) rules.push(rule([], goto(outside)));
  return rules;
}

/** Rules for what comes to the cluster IP: outsiders are masqueraded, so that the answer comes back through this node. */
export function internalRules({ family, local, masqueradeAll, mark }: NftRenderContext): NftRule[] {
  const masquerade = { do: 'set-mark-bits', bits: mark } as const;
  if (masqueradeAll) return [rule([], undefined, [masquerade])];
  return local ? [rule([localTrafficMatch(family, local, true)], undefined, [masquerade])] : [];
}

/** Chains of one service port with a chain for every endpoint: how kube-proxy lays out every service, and both layouts those with affinity. */
export function balanceByChains(port: ServicePortModel, context: NftRenderContext, part: PartBuilder): Balancing {
  const name = nameOf(port);
  const chainOf = new Map(port.backends.map((backend) => [backend, endpointChain(port, backend, context, part)]));
  const balancer = (kind: 'service' | 'local', backends: readonly Backend[]): string | undefined => {
    if (backends.length === 0) return undefined;
    const chains = backends.map((backend) => chainOf.get(backend)!);
    const sticky = port.affinitySeconds === undefined ? [] : chains.map((chain) => stickyRule(chain, context));
    return part.own(`${kind}-${name}`, [...sticky, spreadOver(chains)]);
  };
  const all = balancer('service', port.clusterBackends);
  const local = balancer('local', port.localBackends);
  const inside = port.internalPolicy === 'Local' ? local : all;
  const internal = inside === undefined ? '' : part.own(`cluster-ip-${name}`, [...internalRules(context), rule([], jump(inside))]);
  const external = port.external ? part.own(`external-${name}`, externalRules(port, context, all ?? '', local)) : '';
  return { internal, external, nodePort: external };
}

const affinitySet = (endpointChain: string): string => endpointChain.replace(/^endpoint-/, 'affinity-');

const stickyRule = (chain: string, { family }: NftRenderContext): NftRule =>
  rule([{ match: 'in', of: [addressSelector(family, 'saddr')], set: affinitySet(chain) }], goto(chain));

function endpointChain(port: ServicePortModel, backend: Backend, context: NftRenderContext, part: PartBuilder): string {
  const { family } = context;
  const hash = shortHash(port.name + lower(port.protocol) + backend.text);
  const chain = `endpoint-${hash}-${nameOf(port).slice(9)}__${backend.address.replaceAll(':', '.')}/${backend.port}`.slice(0, 120);
  const remembers = port.affinitySeconds !== undefined;
  if (remembers) part.affinitySets.set(affinitySet(chain), port.affinitySeconds);
  const update = { do: 'update', set: affinitySet(chain), of: [addressSelector(family, 'saddr')] } as const;
  part.own(chain, [
    // Hairpin: a pod that reaches itself must see another source, or it would answer itself past the connection tracking.
    rule([fromPrefix(family, `${backend.address}/${family === 4 ? 32 : 128}`)], undefined, [{ do: 'set-mark-bits', bits: context.mark }]),
    toBackend(family, port.protocol, backend, remembers ? [update] : []),
  ]);
  return chain;
}
