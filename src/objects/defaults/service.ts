// Defaults and normal form of Services (the reference's defaults.go and pkg/registry/core/service). All in place.
import type { KubeObject, Service, ServicePort, ServiceSpec } from '../types/index.ts';

/** Any object with the parts of a Service. */
type ServiceLike = KubeObject & { spec?: ServiceSpec; status?: Service['status'] };
type Spec = ServiceSpec & { allocateLoadBalancerNodePorts?: boolean; loadBalancerClass?: string };

/** Seconds for which a client sticks to its endpoint. */
const affinitySeconds = 10_800;

export const needsClusterIP = ({ type }: ServiceSpec): boolean => type !== 'ExternalName';
export const isHeadless = ({ clusterIP, clusterIPs }: ServiceSpec): boolean => (clusterIP || clusterIPs?.[0]) === 'None';
export const needsNodePort = ({ type, ...spec }: Spec): boolean =>
  type === 'NodePort' || (type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false);
export const needsHealthCheckNodePort = ({ type, externalTrafficPolicy }: ServiceSpec): boolean =>
  type === 'LoadBalancer' && externalTrafficPolicy === 'Local';

export function applyServiceDefaults(service: ServiceLike): void {
  const spec = (service.spec ??= {}) as Spec;
  spec.type ||= 'ClusterIP';
  spec.sessionAffinity ||= 'None';
  if (spec.sessionAffinity === 'None') delete spec.sessionAffinityConfig;
  else {
    spec.sessionAffinityConfig ??= {};
    spec.sessionAffinityConfig.clientIP ??= {};
    spec.sessionAffinityConfig.clientIP.timeoutSeconds ??= affinitySeconds;
  }
  for (const port of spec.ports ?? []) {
    port.protocol ||= 'TCP';
    if (!port.targetPort && port.port) port.targetPort = port.port;
  }
  const external =
    spec.type === 'NodePort' || spec.type === 'LoadBalancer' || (spec.type === 'ClusterIP' && (spec.externalIPs?.length ?? 0) > 0);
  if (external) spec.externalTrafficPolicy ||= 'Cluster';
  if (spec.type !== 'ExternalName') spec.internalTrafficPolicy ??= 'Cluster';
  if (spec.type === 'LoadBalancer') spec.allocateLoadBalancerNodePorts ??= true;
}

/** Brings clusterIP and clusterIPs together, whichever of them the client wrote. `old` is undefined on create. */
export function normalizeClusterIPs(spec: ServiceSpec, old: ServiceSpec | undefined): void {
  if (!old) {
    if (spec.clusterIP && !spec.clusterIPs?.length) spec.clusterIPs = [spec.clusterIP];
    else if (!spec.clusterIP && spec.clusterIPs?.length) spec.clusterIP = spec.clusterIPs[0]!;
    return;
  }
  const changed = (spec.clusterIP ?? '') !== (old.clusterIP ?? '');
  const listSame = (spec.clusterIPs ?? []).join() === (old.clusterIPs ?? []).join();
  if (changed && listSame) {
    // An old client knows clusterIP alone: clearing it clears the list, setting it sets the list.
    if (!spec.clusterIP) delete spec.clusterIPs;
    else spec.clusterIPs = [spec.clusterIP];
  } else if (!changed && !listSame && !spec.clusterIPs?.length) delete spec.clusterIP;
}

/** Values the server chose before stay when an update leaves them out, and go when the new type has no use for them. */
export function carryAllocatedValues(spec: Spec, old: Spec): void {
  if (needsClusterIP(old) && needsClusterIP(spec)) {
    if (!spec.clusterIP && !spec.clusterIPs?.length && old.clusterIP) spec.clusterIP = old.clusterIP;
    if (!spec.clusterIPs?.length && spec.clusterIP === old.clusterIP && old.clusterIPs) spec.clusterIPs = [...old.clusterIPs];
    if (!spec.ipFamilies?.length && spec.clusterIP === old.clusterIP && old.ipFamilies) spec.ipFamilies = [...old.ipFamilies];
    if (spec.ipFamilyPolicy === undefined && old.ipFamilyPolicy && spec.clusterIPs?.length === old.clusterIPs?.length)
      spec.ipFamilyPolicy = old.ipFamilyPolicy;
  }
  if (needsNodePort(old) && needsNodePort(spec)) {
    const before = new Map((old.ports ?? []).map((port) => [portKey(port), port.nodePort]));
    const used = new Set((spec.ports ?? []).map(({ nodePort }) => nodePort));
    for (const port of spec.ports ?? []) {
      const nodePort = before.get(portKey(port));
      if (!port.nodePort && nodePort && !used.has(nodePort)) {
        port.nodePort = nodePort;
        used.add(nodePort);
      }
    }
  }
  if (needsHealthCheckNodePort(old) && needsHealthCheckNodePort(spec) && old.healthCheckNodePort)
    spec.healthCheckNodePort ||= old.healthCheckNodePort;
  dropTypeDependentValues(spec, old);
}

const portKey = ({ protocol, port }: ServicePort): string => `${protocol ?? 'TCP'}/${port}`;

/** `kubectl patch` to another type sends the old values along; those that the type brought are dropped, those that the client changed are kept. */
function dropTypeDependentValues(spec: Spec, old: Spec): void {
  const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
  if (needsClusterIP(old) && !needsClusterIP(spec) && same(spec.clusterIP, old.clusterIP) && same(spec.clusterIPs, old.clusterIPs)) {
    for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy'] as const) delete spec[field];
    if (same(spec.internalTrafficPolicy, old.internalTrafficPolicy)) delete spec.internalTrafficPolicy;
  }
  const ports = (ports: readonly ServicePort[] = []) => ports.map(({ nodePort }) => nodePort ?? 0);
  const numbers = new Set(ports(old.ports));
  if (needsNodePort(old) && !needsNodePort(spec) && ports(spec.ports).every((nodePort) => numbers.has(nodePort) || nodePort === 0)) {
    for (const port of spec.ports ?? []) delete port.nodePort;
  }
  if (needsHealthCheckNodePort(old) && !needsHealthCheckNodePort(spec) && spec.healthCheckNodePort === old.healthCheckNodePort)
    delete spec.healthCheckNodePort;
  const external = ({ type }: Spec) => type === 'NodePort' || type === 'LoadBalancer';
  if (external(old) && !external(spec) && !spec.externalIPs?.length && spec.externalTrafficPolicy === old.externalTrafficPolicy)
    delete spec.externalTrafficPolicy;
  if (old.type === 'LoadBalancer' && spec.type !== 'LoadBalancer') {
    if (spec.allocateLoadBalancerNodePorts === old.allocateLoadBalancerNodePorts) delete spec.allocateLoadBalancerNodePorts;
    if (spec.loadBalancerClass === old.loadBalancerClass) delete spec.loadBalancerClass;
  }
}
