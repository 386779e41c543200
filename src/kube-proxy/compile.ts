import { type Family, isPort, prefixContains, tryParseAddress, tryParsePrefix } from '../net/index.ts';
import type { EndpointSlice, Service, ServicePort } from '../objects/client.ts';
import { settleClaims } from './claims.ts';
import { decideEndpoints, readEndpoints } from './endpoints.ts';
import { type NodeFacts, nodeFacts, type ProxyInput, slicesByService, whySkipped } from './input.ts';
import { isUsed, type ProxyModel, type ProxyProblem, type ServicePortModel } from './model.ts';

/**
 * Services, EndpointSlices and the Node -> what each service port shall do on this node, in one family. The answer depends only on
 * the objects, not on their order. What cannot be programmed is left out and told in `problems`.
 */
export const compileProxy = (input: ProxyInput, family: Family): ProxyModel => createProxyCompiler(family)(input);

/**
 * As {@link compileProxy}, but keeps what it made of a service as long as the same objects come again: the answer then holds the
 * same ServicePortModel objects, so that later stages can tell by identity what has not changed.
 */
export function createProxyCompiler(family: Family): (input: ProxyInput) => ProxyModel {
  const known = new WeakMap<Service, { node: string; slices: readonly EndpointSlice[]; result: CompiledService }>();
  return (input) => {
    const node = nodeFacts(input.nodeName, input.node, family);
    const nodeKey = JSON.stringify([node.name, node.zone, node.internalIP?.text]);
    const slices = slicesByService(input.endpointSlices, family);
    const services: ServicePortModel[] = [];
    const skipped: { service: string; reason: string }[] = [];
    const problems: ProxyProblem[] = [];
    for (const service of input.services) {
      const name = `${service.metadata.namespace}/${service.metadata.name}`;
      const reason = whySkipped(service);
      if (reason !== undefined) {
        skipped.push({ service: name, reason });
        continue;
      }
      const own = slices.get(name) ?? noSlices;
      let entry = known.get(service);
      if (!entry || entry.node !== nodeKey || !sameElements(entry.slices, own)) {
        entry = { node: nodeKey, slices: own, result: compileService(name, service, own, node, family) };
        known.set(service, entry);
      }
      services.push(...entry.result.ports);
      problems.push(...entry.result.problems);
    }
    services.sort((a, b) => compare(a.name, b.name) || compare(a.protocol, b.protocol));
    const settled = settleClaims(services, problems);
    skipped.sort((a, b) => compare(a.service, b.service));
    problems.sort((a, b) => compare(a.object, b.object) || compare(a.field, b.field));
    return { family, services: settled, skipped, problems };
  };
}

const noSlices: readonly EndpointSlice[] = [];
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const sameElements = <T>(a: readonly T[], b: readonly T[]): boolean =>
  a.length === b.length && a.every((element, index) => element === b[index]);

interface CompiledService {
  readonly ports: readonly ServicePortModel[];
  readonly problems: readonly ProxyProblem[];
}

function compileService(
  name: string,
  service: Service,
  slices: readonly EndpointSlice[],
  node: NodeFacts,
  family: Family,
): CompiledService {
  const { spec } = service;
  const problems: ProxyProblem[] = [];
  const problem = (field: string, reason: string): void => void problems.push({ object: `Service ${name}`, field, reason });
  const addresses = (field: string, texts: readonly string[]): string[] => [
    ...new Set(
      texts.flatMap((text, index) => {
        const address = tryParseAddress(text);
        if (!address) problem(`${field}[${index}]`, `${JSON.stringify(text)} is not an IP address`);
        return address?.family === family ? [address.text] : [];
      }),
    ),
  ];

  const [clusterIP] = addresses('spec.clusterIPs', spec.clusterIPs?.length ? spec.clusterIPs : [spec.clusterIP!]);
  if (clusterIP === undefined) return { ports: [], problems };
  const externalIPs = addresses('spec.externalIPs', spec.externalIPs ?? []);
  const ingress = spec.type === 'LoadBalancer' ? (service.status?.loadBalancer?.ingress ?? []) : [];
  const loadBalancerIPs = addresses(
    'status.loadBalancer.ingress',
    // ipMode Proxy (KEP-1860): the balancer must see the traffic itself.
    ingress.flatMap(({ ip, ipMode }) => (ip && ipMode !== 'Proxy' ? [ip] : [])),
  );
  const sourceRanges = (spec.loadBalancerSourceRanges ?? []).flatMap((text, index) => {
    const prefix = tryParsePrefix(text.trim());
    if (!prefix) problem(`spec.loadBalancerSourceRanges[${index}]`, `${JSON.stringify(text)} is not a CIDR`);
    return prefix?.family === family ? [prefix] : [];
  });
  const hasNodePorts = spec.type === 'NodePort' || spec.type === 'LoadBalancer';
  const internalPolicy = spec.internalTrafficPolicy === 'Local' ? 'Local' : 'Cluster';

  const toModel = (port: ServicePort, index: number): ServicePortModel[] => {
    const protocol = port.protocol ?? 'TCP';
    if (!isPort(port.port)) {
      problem(`spec.ports[${index}].port`, `${JSON.stringify(port.port)} is not a port`);
      return [];
    }
    const nodePort = hasNodePorts && port.nodePort ? port.nodePort : undefined;
    const external = nodePort !== undefined || externalIPs.length > 0 || loadBalancerIPs.length > 0;
    const externalPolicy = external && spec.externalTrafficPolicy === 'Local' ? 'Local' : 'Cluster';
    const candidates = readEndpoints(slices, port.name ?? '', protocol, family, node, problems);
    // Even with external policy Local, traffic of pods and of the node itself uses all endpoints, so that external services always need both.
    const uses = { cluster: internalPolicy === 'Cluster' || external, local: internalPolicy === 'Local' || externalPolicy === 'Local' };
    const { endpoints, hasEndpoints } = decideEndpoints(candidates, node, uses);
    return [
      {
        name: port.name ? `${name}:${port.name}` : name,
        service: name,
        protocol,
        port: port.port,
        clusterIP,
        nodePort,
        externalIPs,
        loadBalancerIPs,
        sourceRanges: sourceRanges.map(({ text }) => text),
        sourceRangesHoldNode: node.internalIP !== undefined && sourceRanges.some((prefix) => prefixContains(prefix, node.internalIP!)),
        healthCheckNodePort: spec.type === 'LoadBalancer' && externalPolicy === 'Local' ? spec.healthCheckNodePort || undefined : undefined,
        affinitySeconds: spec.sessionAffinity === 'ClientIP' ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10_800) : undefined,
        internalPolicy,
        externalPolicy,
        external,
        endpoints,
        clusterBackends: endpoints.filter(({ underCluster }) => isUsed(underCluster)),
        localBackends: endpoints.filter(({ underLocal }) => isUsed(underLocal)),
        backends: endpoints.filter(({ underCluster, underLocal }) => isUsed(underCluster) || isUsed(underLocal)),
        hasEndpoints,
      },
    ];
  };
  return { ports: (spec.ports ?? []).flatMap(toModel), problems };
}
