import type { IpSetElements } from '../../../dataplane/ipset.ts';
import { type IpvsProtocol, type RealServer, type VirtualServer, virtualServerKey } from '../../../dataplane/ipvs.ts';
import { type Family, joinHostPort, parsePrefix, prefixSize } from '../../../net/index.ts';
import type { Backend, ServicePortModel, TrafficPolicy } from '../../model.ts';
import type { SetName } from './sets.ts';

/** What one service port adds: virtual servers, and elements of the shared sets. */
export interface IpvsPart {
  readonly servers: ReadonlyMap<string, VirtualServer>;
  readonly elements: ReadonlyMap<SetName, IpSetElements>;
}

/** What rendering a service needs to know besides the service. */
export interface IpvsContext {
  readonly family: Family;
  readonly scheduler: string;
  readonly schedulerFlags: readonly string[];
  /** Addresses of the node's other links: a service that has one of them needs none on the dummy link. */
  readonly ownAddresses: readonly string[];
  /** Those of them that serve node ports. */
  readonly nodePortAddresses: readonly string[];
  /** Keys of virtual servers at addresses of the node that services have by their external addresses. */
  readonly taken: readonly string[];
}

/** Who is balanced over what at one address, whatever the sender: a virtual server makes no difference between them. */
interface Balanced {
  readonly backends: readonly Backend[];
  /** Senders that must not be served although the virtual server would. */
  readonly barred: 'nobody' | 'outsiders' | 'all';
}

function balance(
  { clusterBackends, localBackends, hasEndpoints }: ServicePortModel,
  policy: TrafficPolicy,
  serveInsiders: boolean,
): Balanced {
  if (policy === 'Cluster') return { backends: clusterBackends, barred: clusterBackends.length === 0 && hasEndpoints ? 'all' : 'nobody' };
  if (localBackends.length > 0) return { backends: localBackends, barred: 'nobody' };
  if (!serveInsiders || clusterBackends.length === 0) return { backends: [], barred: hasEndpoints ? 'all' : 'nobody' };
  return { backends: clusterBackends, barred: 'outsiders' };
}

export function servicePart(port: ServicePortModel, context: IpvsContext): IpvsPart {
  const servers = new Map<string, VirtualServer>();
  const elements = new Map<SetName, Map<string, true>>();
  const add = (set: SetName, element: string): void => {
    const own = elements.get(set) ?? new Map<string, true>();
    elements.set(set, own.set(element, true));
  };
  const protocol = port.protocol.toLowerCase() as IpvsProtocol;
  const own = new Set(context.ownAddresses);
  const key = (address: string, at = port.port): string => `${address},${protocol}:${at}`;
  const reals = realsCache();
  const serve = (address: string, at: number, { backends, barred }: Balanced, method: RealServer['method']): void => {
    const server: VirtualServer = {
      address,
      port: at,
      protocol,
      scheduler: port.scheduler ?? context.scheduler,
      schedulerFlags: port.schedulerFlags ?? (port.scheduler === undefined ? context.schedulerFlags : []),
      persistence: port.affinitySeconds,
      reals: reals(backends, method),
    };
    servers.set(virtualServerKey(server), server);
    if (barred !== 'nobody') add(barred === 'all' ? 'KUBE-NO-LOCAL' : 'KUBE-NO-LOCAL-EXTERNAL', key(address, at));
  };
  const bind = (address: string): void => {
    if (!own.has(address)) add('KUBE-IPVS-IPS', address);
  };

  serve(port.clusterIP, port.port, balance(port, port.internalPolicy, false), 'masq');
  add('KUBE-CLUSTER-IP', key(port.clusterIP));
  bind(port.clusterIP);

  const external = balance(port, port.externalPolicy, true);
  // What is sent back past this node must keep its source, or it would not get to the client.
  const keepsSource = port.externalPolicy === 'Local' || port.directReturn !== undefined;
  for (const address of port.externalIPs) {
    serve(address, port.port, external, port.directReturn ?? 'masq');
    add(keepsSource ? 'KUBE-EXTERNAL-IP-LOCAL' : 'KUBE-EXTERNAL-IP', key(address));
    bind(address);
  }
  for (const address of port.loadBalancerIPs) {
    serve(address, port.port, external, port.directReturn ?? 'masq');
    add('KUBE-LOAD-BALANCER', key(address));
    if (keepsSource) add('KUBE-LOAD-BALANCER-LOCAL', key(address));
    if (port.hasEndpoints && port.sourceRanges.length > 0) addFirewall(port, address, key(address), add);
    bind(address);
  }
  if (port.nodePort !== undefined) {
    for (const address of context.nodePortAddresses) {
      if (context.taken.includes(virtualServerKey({ protocol, address, port: port.nodePort }))) continue;
      serve(address, port.nodePort, external, 'masq');
      if (protocol !== 'sctp') continue;
      add('KUBE-NODE-PORT-SCTP-HASH', key(address, port.nodePort));
      if (port.externalPolicy === 'Local') add('KUBE-NODE-PORT-LOCAL-SCTP-HASH', key(address, port.nodePort));
    }
    if (protocol !== 'sctp') {
      const upper = protocol === 'tcp' ? 'TCP' : 'UDP';
      add(`KUBE-NODE-PORT-${upper}`, `${port.nodePort}`);
      if (port.externalPolicy === 'Local') add(`KUBE-NODE-PORT-LOCAL-${upper}`, `${port.nodePort}`);
    }
  }
  if (port.healthCheckNodePort !== undefined) add('KUBE-HEALTH-CHECK-NODE-PORT', `${port.healthCheckNodePort}`);
  // A pod that reaches itself does so from this node only.
  const local = new Set(port.endpoints.filter((endpoint) => endpoint.local).map(({ text }) => text));
  for (const { text, address, port: to } of port.backends) if (local.has(text)) add('KUBE-LOOP-BACK', `${key(address, to)},${address}`);
  return { servers, elements };
}

/** Virtual servers with the same endpoints share one map of them. */
function realsCache(): (backends: readonly Backend[], method: RealServer['method']) => ReadonlyMap<string, RealServer> {
  const known = new Map<readonly Backend[], Map<string, ReadonlyMap<string, RealServer>>>();
  return (backends, method) => {
    const byMethod = known.get(backends) ?? new Map<string, ReadonlyMap<string, RealServer>>();
    known.set(backends, byMethod);
    const reals =
      byMethod.get(method) ??
      new Map(backends.map(({ address, port }) => [joinHostPort(address, port), { address, port, method, weight: 1 }]));
    byMethod.set(method, reals);
    return reals;
  };
}

function addFirewall(port: ServicePortModel, address: string, key: string, add: (set: SetName, element: string) => void): void {
  add('KUBE-LOAD-BALANCER-FW', key);
  for (const text of port.sourceRanges) for (const range of setRanges(text)) add('KUBE-LOAD-BALANCER-SOURCE-CIDR', `${key},${range}`);
  // A node whose routes hold the address as its own sends to it with the address itself as the source.
  if (port.sourceRangesHoldNode) add('KUBE-LOAD-BALANCER-SOURCE-IP', `${key},${address}`);
}

/** As a set of networks holds the prefix: none of length 0 (two halves do the same), and one of a single address as that address. */
function setRanges(text: string): string[] {
  const prefix = parsePrefix(text);
  if (prefix.length === 0) return prefix.family === 4 ? ['0.0.0.0/1', '128.0.0.0/1'] : ['::/1', '8000::/1'];
  return [prefixSize(prefix) === 1n ? prefix.address.text : prefix.text];
}

/** Virtual servers by external addresses that are the node's own, which node ports must leave alone. */
export function takenKeys(services: readonly ServicePortModel[], ownAddresses: ReadonlySet<string>): string[] {
  const taken: string[] = [];
  for (const { protocol, port, externalIPs, loadBalancerIPs } of services) {
    for (const addresses of [externalIPs, loadBalancerIPs]) {
      for (const address of addresses)
        if (ownAddresses.has(address)) taken.push(virtualServerKey({ protocol: protocol.toLowerCase() as IpvsProtocol, address, port }));
    }
  }
  return taken;
}
