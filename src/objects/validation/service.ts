// Rules for Services (the reference's ValidateService). Addresses inside the configured ranges are service-addresses.ts's.
import { tryParseAddress } from '../../net/index.ts';
import { isHeadless } from '../defaults/service.ts';
import type { AnyObject } from '../kind.ts';
import type { ServicePort, ServiceSpec, StatusCause } from '../types/index.ts';
import { duplicate, forbidden, invalid, invalids, notSupported, required } from './causes.ts';
import { validateLabels } from './metadata.ts';
import { cidr, dnsLabel, dnsSubdomain, ipAddress, nonSpecialAddress, portName, portNumber, qualifiedName } from './names.ts';

type Spec = ServiceSpec & { allocateLoadBalancerNodePorts?: boolean };

const protocols = ['SCTP', 'TCP', 'UDP'];
const types = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const maxAffinitySeconds = 86_400;

export function validateService({ spec = {} }: AnyObject, old: AnyObject | undefined): StatusCause[] {
  return [
    ...validatePorts(spec),
    ...validateType(spec),
    ...validateLabels(spec.selector, 'spec.selector'),
    ...validateAffinity(spec),
    ...validateTraffic(spec),
    ...validateExternal(spec),
    ...validateFamilies(spec),
    ...validateClusterIPs(spec),
    ...(old ? validateClusterIPUpdate(spec, old.spec ?? {}) : []),
  ];
}

function validatePorts(spec: Spec): StatusCause[] {
  const causes: StatusCause[] = [];
  const ports = spec.ports ?? [];
  if (ports.length === 0 && !isHeadless(spec) && spec.type !== 'ExternalName') causes.push(required('spec.ports'));
  const names = new Set<string>();
  const keys = new Set<string>();
  const nodePorts = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const at = `spec.ports[${index}]`;
    causes.push(...validatePort(port, at, ports.length > 1, names));
    const key = `${port.protocol}/${port.port}`;
    if (keys.has(key)) causes.push(duplicate(at, { protocol: port.protocol, port: port.port }));
    keys.add(key);
    if (!port.nodePort) continue;
    if (spec.type === 'ClusterIP' || spec.type === 'ExternalName')
      causes.push(forbidden(`${at}.nodePort`, `may not be used when \`type\` is '${spec.type}'`));
    causes.push(...invalids(`${at}.nodePort`, port.nodePort, portNumber(port.nodePort)));
    const nodeKey = `${port.protocol}/${port.nodePort}`;
    if (nodePorts.has(nodeKey)) causes.push(duplicate(`${at}.nodePort`, port.nodePort));
    nodePorts.add(nodeKey);
  }
  return causes;
}

function validatePort(
  { name, port, protocol, targetPort, appProtocol }: ServicePort,
  at: string,
  several: boolean,
  names: Set<string>,
): StatusCause[] {
  const causes: StatusCause[] = [];
  if (several && !name) causes.push(required(`${at}.name`));
  else if (name) {
    causes.push(...invalids(`${at}.name`, name, dnsLabel(name)));
    if (names.has(name)) causes.push(duplicate(`${at}.name`, name));
    names.add(name);
  }
  causes.push(...invalids(`${at}.port`, port ?? 0, portNumber(port)));
  if (!protocol) causes.push(required(`${at}.protocol`));
  else if (!protocols.includes(protocol)) causes.push(notSupported(`${at}.protocol`, protocol, protocols));
  if (typeof targetPort === 'string') causes.push(...invalids(`${at}.targetPort`, targetPort, portName(targetPort)));
  else causes.push(...invalids(`${at}.targetPort`, targetPort ?? 0, portNumber(targetPort)));
  if (appProtocol) causes.push(...invalids(`${at}.appProtocol`, appProtocol, qualifiedName(appProtocol)));
  return causes;
}

function validateType(spec: Spec): StatusCause[] {
  if (!spec.type) return [required('spec.type')];
  if (!types.includes(spec.type)) return [notSupported('spec.type', spec.type, types)];
  const causes: StatusCause[] = [];
  if (spec.type === 'ExternalName') {
    if ((spec.clusterIPs?.length ?? 0) > 0) causes.push(forbidden('spec.clusterIPs', 'may not be set for ExternalName services'));
    for (const field of ['ipFamilies', 'ipFamilyPolicy'] as const) {
      if (spec[field]?.length) causes.push(forbidden(`spec.${field}`, 'may not be set for ExternalName services'));
    }
    const name = (spec.externalName ?? '').replace(/\.$/, '');
    if (name === '') causes.push(required('spec.externalName'));
    else causes.push(...invalids('spec.externalName', name, dnsSubdomain(name)));
  }
  if (spec.type === 'LoadBalancer' && isHeadless(spec))
    causes.push(invalid('spec.clusterIPs[0]', 'None', "may not be set to 'None' for LoadBalancer services"));
  if (spec.type === 'NodePort' && isHeadless(spec))
    causes.push(invalid('spec.clusterIPs[0]', 'None', "may not be set to 'None' for NodePort services"));
  return causes;
}

function validateAffinity({ sessionAffinity, sessionAffinityConfig }: Spec): StatusCause[] {
  if (!sessionAffinity) return [required('spec.sessionAffinity')];
  if (sessionAffinity === 'None') {
    return sessionAffinityConfig ? [forbidden('spec.sessionAffinityConfig', `must not be set when session affinity is None`)] : [];
  }
  if (sessionAffinity !== 'ClientIP') return [notSupported('spec.sessionAffinity', sessionAffinity, ['ClientIP', 'None'])];
  const seconds = sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 0;
  if (seconds > 0 && seconds <= maxAffinitySeconds) return [];
  return [
    invalid('spec.sessionAffinityConfig.clientIP.timeoutSeconds', seconds, `must be greater than 0 and less than ${maxAffinitySeconds}`),
  ];
}

function validateTraffic(spec: Spec): StatusCause[] {
  const causes: StatusCause[] = [];
  const policies = ['Cluster', 'Local'];
  const external =
    spec.type === 'NodePort' || spec.type === 'LoadBalancer' || (spec.type === 'ClusterIP' && (spec.externalIPs?.length ?? 0) > 0);
  if (spec.externalTrafficPolicy && !external) {
    causes.push(invalid('spec.externalTrafficPolicy', spec.externalTrafficPolicy, 'may only be set for externally-accessible services'));
  } else if (external && !policies.includes(spec.externalTrafficPolicy ?? '')) {
    causes.push(notSupported('spec.externalTrafficPolicy', spec.externalTrafficPolicy ?? '', policies));
  }
  if (spec.internalTrafficPolicy && !policies.includes(spec.internalTrafficPolicy)) {
    causes.push(notSupported('spec.internalTrafficPolicy', spec.internalTrafficPolicy, policies));
  }
  if (spec.healthCheckNodePort && !(spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local')) {
    const text = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
    causes.push(invalid('spec.healthCheckNodePort', spec.healthCheckNodePort, text));
  }
  const distributions = ['PreferClose', 'PreferSameNode', 'PreferSameZone'];
  if (spec.trafficDistribution !== undefined && !distributions.includes(spec.trafficDistribution)) {
    causes.push(notSupported('spec.trafficDistribution', spec.trafficDistribution, distributions));
  }
  return causes;
}

function validateExternal(spec: Spec): StatusCause[] {
  const causes: StatusCause[] = [];
  for (const [index, ip] of (spec.externalIPs ?? []).entries()) {
    causes.push(...invalids(`spec.externalIPs[${index}]`, ip, nonSpecialAddress(ip)));
  }
  const ranges = spec.loadBalancerSourceRanges ?? [];
  if (ranges.length > 0 && spec.type !== 'LoadBalancer') {
    causes.push(forbidden('spec.loadBalancerSourceRanges', "may only be used when `type` is 'LoadBalancer'"));
  }
  for (const [index, text] of ranges.entries()) causes.push(...invalids(`spec.loadBalancerSourceRanges[${index}]`, text, cidr(text)));
  if (spec.allocateLoadBalancerNodePorts !== undefined && spec.type !== 'LoadBalancer') {
    causes.push(forbidden('spec.allocateLoadBalancerNodePorts', "may only be used when `type` is 'LoadBalancer'"));
  }
  return causes;
}

function validateFamilies({ ipFamilies = [], ipFamilyPolicy }: Spec): StatusCause[] {
  const causes: StatusCause[] = [];
  const policies = ['PreferDualStack', 'RequireDualStack', 'SingleStack'];
  if (ipFamilyPolicy !== undefined && !policies.includes(ipFamilyPolicy))
    causes.push(notSupported('spec.ipFamilyPolicy', ipFamilyPolicy, policies));
  if (ipFamilies.length > 2) causes.push(invalid('spec.ipFamilies', ipFamilies, 'may only hold up to 2 values'));
  for (const [index, family] of ipFamilies.entries()) {
    if (family !== 'IPv4' && family !== 'IPv6') causes.push(notSupported(`spec.ipFamilies[${index}]`, family, ['IPv4', 'IPv6']));
    else if (ipFamilies.indexOf(family) < index) causes.push(duplicate(`spec.ipFamilies[${index}]`, family));
  }
  return causes;
}

function validateClusterIPs({ clusterIP = '', clusterIPs = [], ipFamilies = [], ...spec }: Spec): StatusCause[] {
  if (spec.type === 'ExternalName') return [];
  if (clusterIPs.length === 0) return [];
  const causes: StatusCause[] = [];
  if (clusterIPs[0] !== clusterIP) causes.push(invalid('spec.clusterIPs', clusterIPs, 'first value must match `clusterIP`'));
  if (clusterIPs.length > 2) causes.push(invalid('spec.clusterIPs', clusterIPs, 'may only hold up to 2 values'));
  for (const [index, ip] of clusterIPs.entries()) {
    const at = `spec.clusterIPs[${index}]`;
    if (ip === 'None') {
      if (clusterIPs.length > 1) causes.push(invalid(at, ip, '`None` must be the first and only value'));
      continue;
    }
    const problems = ipAddress(ip);
    causes.push(...invalids(at, ip, problems));
    const family = ipFamilies[index];
    if (problems.length === 0 && family && tryParseAddress(ip)!.family !== (family === 'IPv6' ? 6 : 4)) {
      causes.push(invalid(at, ip, `expected an ${family} value as indicated by \`ipFamilies[${index}]\``));
    }
  }
  const families = new Set(clusterIPs.map((ip) => tryParseAddress(ip)?.family));
  if (clusterIPs.length === 2 && families.size === 1 && !families.has(undefined)) {
    causes.push(invalid('spec.clusterIPs', clusterIPs, 'may specify no more than one IP for each IP family'));
  }
  return causes;
}

function validateClusterIPUpdate(spec: Spec, old: Spec): StatusCause[] {
  if (spec.type === 'ExternalName' || old.type === 'ExternalName' || !old.clusterIPs?.length) return [];
  if (isHeadless(spec) && isHeadless(old)) return [];
  const now = spec.clusterIPs ?? [];
  if (now.length === 0) return [invalid('spec.clusterIPs[0]', now, 'primary clusterIP can not be unset')];
  const causes: StatusCause[] = [];
  for (const [index, ip] of old.clusterIPs.entries()) {
    if (now[index] !== undefined && now[index] !== ip) causes.push(invalid(`spec.clusterIPs[${index}]`, now, 'may not change once set'));
  }
  if (now.length < old.clusterIPs.length && spec.ipFamilyPolicy !== 'SingleStack') {
    causes.push(
      invalid('spec.ipFamilyPolicy', spec.ipFamilyPolicy ?? null, "must be set to 'SingleStack' when releasing the secondary clusterIP"),
    );
  }
  const [family, before] = [spec.ipFamilies?.[0], old.ipFamilies?.[0]];
  if (before && family && family !== before) causes.push(invalid('spec.ipFamilies[0]', family, 'may not change once set'));
  return causes;
}
