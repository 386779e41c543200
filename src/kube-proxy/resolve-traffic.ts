import { type Address, type Family, parseAddress, parsePrefix, prefixContains, type Protocol } from '../net/index.ts';
import type { NodeFacts } from './input.ts';
import { type LocalTraffic, localTraffic } from './local-traffic.ts';
import { addressesOf, type Backend, type ProxyModel, type ServicePortModel, type TrafficPolicy } from './model.ts';
import { type ProxyOptions, prefixesOf } from './options.ts';

/** A first packet, as it reaches this node or leaves one of its processes. */
export interface Flow {
  readonly from: string;
  readonly to: string;
  readonly port: number;
  readonly protocol: Protocol;
  /** The link it came in by; undefined for the node's own processes. */
  readonly in?: string;
}

export interface TrafficDecision {
  /** `untouched`: no service of this node, or one that lets it pass. */
  readonly outcome: 'balanced' | 'rejected' | 'dropped' | 'untouched';
  readonly service?: ServicePortModel;
  /** By which of its addresses. */
  readonly by?: 'cluster IP' | 'external IP' | 'loadbalancer IP' | 'node port';
  /** Whose endpoints this flow may use: the service's policy, or Cluster for an insider at an address for outsiders. */
  readonly policy?: TrafficPolicy;
  /** Equally likely; a client with affinity keeps the one it had. */
  readonly backends: readonly (Backend & { readonly masquerade: boolean })[];
  /** Why the source is replaced on the way to every backend; undefined when it is kept, except by a pod that reaches itself. */
  readonly masqueradeBecause?: string;
}

/** What is known about the node besides the model. */
export interface TrafficSetting {
  readonly node: NodeFacts;
  readonly options: ProxyOptions;
  /** Every address of the node's links. */
  readonly addresses: readonly string[];
}

/** What the model says about a flow, independent of any backend that renders it. */
export function resolveTraffic(model: ProxyModel, flow: Flow, setting: TrafficSetting): TrafficDecision {
  const from = parseAddress(flow.from);
  const to = parseAddress(flow.to);
  const decision = resolveService(model, flow, from, to, setting);
  if (setting.options.mode === 'nftables') return decision.outcome === 'untouched' ? unserved(model, to, setting) : decision;
  if (setting.options.mode === 'ipvs') return throughIpvs(model, flow, from, to, decision, setting);
  // With node ports on 127.0.0.1 the node takes packets for it also from others; all but those to a node port must go (CVE-2020-8558).
  const isMartian = model.family === 4 && setting.options.localhostNodePorts && isLoopback(to) && !isLoopback(from);
  return isMartian && decision.outcome !== 'balanced' ? { ...decision, outcome: 'dropped' } : decision;
}

/** In mode nftables a cluster IP refuses the ports that it has not, and one that no service has leads nowhere. */
function unserved(model: ProxyModel, to: Address, { options }: TrafficSetting): TrafficDecision {
  if (model.services.some(({ clusterIP }) => clusterIP === to.text)) return { outcome: 'rejected', backends: [] };
  const isClusterIP = prefixesOf(options.serviceCIDRs, model.family).some((prefix) => prefixContains(prefix, to));
  return isClusterIP ? { outcome: 'dropped', backends: [] } : untouched;
}

/**
 * In mode ipvs every service address is the node's own: it refuses the ports that no service has, but for those of health checks. And the kernel
 * lets nothing from a loopback address out to an endpoint.
 */
function throughIpvs(
  model: ProxyModel,
  { port, protocol }: Flow,
  from: Address,
  to: Address,
  decision: TrafficDecision,
  { addresses }: TrafficSetting,
): TrafficDecision {
  if (decision.outcome === 'balanced' && isLoopback(from)) return { ...decision, outcome: 'dropped', backends: [] };
  if (decision.outcome !== 'untouched' || isNodeAddress(to, addresses) || !isServiceAddress(model, to)) return decision;
  const isHealthCheck = protocol === 'TCP' && model.services.some(({ healthCheckNodePort }) => healthCheckNodePort === port);
  return isHealthCheck ? decision : { outcome: 'rejected', backends: [] };
}

const isServiceAddress = ({ services }: ProxyModel, { text }: Address): boolean =>
  services.some((service) => addressesOf(service).includes(text));

function resolveService(model: ProxyModel, flow: Flow, from: Address, to: Address, setting: TrafficSetting): TrafficDecision {
  const { family } = model;
  const found = findService(model, flow, to, setting);
  if (!found) return untouched;
  const { service, by } = found;
  const local = localTraffic(setting.options, setting.node, family);
  const internal = by === 'cluster IP';
  const ofPods = isLocalTraffic(local, from, flow.in ?? '');
  const { mode, nftablesLayout } = setting.options;
  const ofNode = isNodeAddress(from, setting.addresses) || (mode === 'ipvs' && isServiceAddress(model, from));
  const insider = ofPods || ofNode;
  // A virtual server has the same endpoints for everybody: those of policy Local while there are any.
  const policy = policyFor(service, internal, mode === 'ipvs' ? insider && service.localBackends.length === 0 : insider);
  const backends = backendsUnder(service, policy);
  const about = { service, by, policy };
  if (mode !== 'iptables' && by === 'node port' && !servesNodePorts(to, family, setting)) return untouched;
  if (!service.hasEndpoints) return { outcome: 'rejected', backends: [], ...about };
  if (by === 'node port' && !servesNodePorts(to, family, setting)) {
    // A port without a backend for outsiders is refused on every address of the node, as kube-proxy has it.
    return backendsUnder(service, service.externalPolicy).length === 0 ? { outcome: 'dropped', backends: [], ...about } : untouched;
  }
  if (by === 'loadbalancer IP' && !mayUseLoadBalancer(service, from)) return { outcome: 'dropped', backends: [], ...about };
  if (backends.length === 0) return { outcome: 'dropped', backends: [], ...about };
  const because = internal
    ? reasonAtClusterIP(setting.options, local, ofPods, mode === 'ipvs' && asServiceItself(model, flow, from))
    : service.externalPolicy === 'Cluster' && !(mode === 'ipvs' && service.directReturn !== undefined && by !== 'node port')
      ? 'external traffic policy Cluster: the answer has to come back through this node'
      : ofNode && !ofPods
        ? 'sent by the node itself'
        : undefined;
  const masquerade = because !== undefined;
  // The fast layout knows only the pods of this node: no other pod can reach itself by way of this node.
  const knowsHairpin = (backend: Backend): boolean =>
    mode === 'iptables' ||
    isLocalEndpoint(service, backend) ||
    (mode === 'nftables' && (nftablesLayout === 'compat' || service.affinitySeconds !== undefined));
  const isHairpin = (backend: Backend): boolean => backend.address === from.text && knowsHairpin(backend);
  return {
    outcome: 'balanced',
    backends: backends.map((backend) => ({ ...backend, masquerade: masquerade || isHairpin(backend) })),
    ...(because === undefined ? {} : { masqueradeBecause: because }),
    ...about,
  };
}

/** A process of the node that did not choose its source has the service's own address for it, for the dummy link holds that. */
const asServiceItself = ({ services }: ProxyModel, { port, protocol }: Flow, { text }: Address): boolean =>
  services.some((service) => service.clusterIP === text && service.port === port && service.protocol === protocol);

function reasonAtClusterIP(
  { masqueradeAll, detectLocalMode }: ProxyOptions,
  local: LocalTraffic,
  ofPods: boolean,
  asItself: boolean,
): string | undefined {
  if (masqueradeAll) return 'masquerade-all';
  if (local === undefined && asItself) return 'sent from a service address, which is this node';
  return local !== undefined && !ofPods ? `not pod traffic (${detectLocalMode})` : undefined;
}

const untouched: TrafficDecision = { outcome: 'untouched', backends: [] };

/** Pods and the node itself reach all endpoints also by an address for outsiders. */
function policyFor({ internalPolicy, externalPolicy }: ServicePortModel, internal: boolean, insider: boolean): TrafficPolicy {
  if (internal) return internalPolicy;
  return insider ? 'Cluster' : externalPolicy;
}

const backendsUnder = ({ localBackends, clusterBackends }: ServicePortModel, policy: TrafficPolicy): readonly Backend[] =>
  policy === 'Local' ? localBackends : clusterBackends;

function findService(
  model: ProxyModel,
  flow: Flow,
  to: Address,
  setting: TrafficSetting,
): Required<Pick<TrafficDecision, 'service' | 'by'>> | undefined {
  const ofProtocol = model.services.filter(({ protocol }) => protocol === flow.protocol);
  for (const service of ofProtocol) {
    if (service.port !== flow.port) continue;
    if (service.clusterIP === to.text) return { service, by: 'cluster IP' };
    if (service.externalIPs.includes(to.text)) return { service, by: 'external IP' };
    if (service.loadBalancerIPs.includes(to.text)) return { service, by: 'loadbalancer IP' };
  }
  if (!isNodeAddress(to, setting.addresses)) return undefined;
  const service = ofProtocol.find(({ nodePort }) => nodePort === flow.port);
  return service && { service, by: 'node port' };
}

const isLocalEndpoint = ({ endpoints }: ServicePortModel, { text }: Backend): boolean =>
  endpoints.some((endpoint) => endpoint.local && endpoint.text === text);

function servesNodePorts(to: Address, family: Family, { node, options }: TrafficSetting): boolean {
  const isNft = options.mode === 'nftables';
  if (isLoopback(to) && (options.mode !== 'iptables' || family === 6 || !options.localhostNodePorts)) return false;
  if (options.nodePortAddresses.length === 0) return isNft ? node.internalIP?.text === to.text : true;
  if (options.nodePortAddresses[0] === 'primary') return node.internalIP?.text === to.text;
  return prefixesOf(options.nodePortAddresses, family).some((prefix) => prefixContains(prefix, to));
}

function mayUseLoadBalancer(service: ServicePortModel, from: Address): boolean {
  if (service.sourceRanges.length === 0) return true;
  if (service.sourceRangesHoldNode && service.loadBalancerIPs.includes(from.text)) return true;
  return service.sourceRanges.some((range) => prefixContains(parsePrefix(range), from));
}

function isLocalTraffic(local: LocalTraffic, from: Address, link: string): boolean {
  if (!local) return false;
  if (local.by === 'source') return prefixContains(parsePrefix(local.prefix), from);
  return local.interface.endsWith('+') ? link.startsWith(local.interface.slice(0, -1)) : link === local.interface;
}

const isLoopback = (address: Address): boolean => (address.family === 4 ? address.value >> 24n === 127n : address.text === '::1');
const isNodeAddress = (address: Address, addresses: readonly string[]): boolean => isLoopback(address) || addresses.includes(address.text);
