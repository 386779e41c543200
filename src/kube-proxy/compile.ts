import { type Family, isPort, prefixContains, tryParseAddress, tryParsePrefix } from '../net/index.ts';
import type { EndpointSlice, Service, ServicePort } from '../objects/client.ts';
import { changedIndexes } from './changed.ts';
import { settleClaims } from './claims.ts';
import { decideEndpoints, readEndpoints } from './endpoints.ts';
import { type NodeFacts, nodeFacts, type ProxyInput, serviceOf, slicesByService, whySkipped } from './input.ts';
import { isUsed, type ProxyModel, type ProxyProblem, type ServicePortModel } from './model.ts';

/**
 * Services, EndpointSlices and the Node -> what each service port shall do on this node, in one family. The answer depends only on
 * the objects, not on their order. What cannot be programmed is left out and told in `problems`.
 */
export const compileProxy = (input: ProxyInput, family: Family): ProxyModel => createProxyCompiler(family)(input);

/** More changed objects than these at once, and everything is compiled anew. */
const maxPatched = 256;

type Objects = Pick<Compilation, 'node' | 'nodeKey' | 'services' | 'slices'>;

/** A compilation, with what a next one can use of it. */
interface Compilation {
  readonly node: NodeFacts;
  readonly nodeKey: string;
  readonly services: readonly Service[];
  readonly slices: readonly EndpointSlice[];
  readonly slicesOf: ReadonlyMap<string, readonly EndpointSlice[]>;
  readonly byName: ReadonlyMap<string, Service>;
  readonly model: ProxyModel;
}

/**
 * As {@link compileProxy}, but keeps what it made of a service as long as the same objects come again: the answer then holds the
 * same ServicePortModel objects, so that later stages can tell by identity what has not changed. When only a few EndpointSlices are others,
 * only their services are looked at.
 */
export function createProxyCompiler(family: Family): (input: ProxyInput) => ProxyModel {
  const known = new WeakMap<Service, { node: string; slices: readonly EndpointSlice[]; result: CompiledService }>();
  const compiled = (service: Service, name: string, own: readonly EndpointSlice[], node: NodeFacts, nodeKey: string): CompiledService => {
    const entry = known.get(service);
    if (entry && entry.node === nodeKey && sameElements(entry.slices, own)) return entry.result;
    const result = compileService(name, service, own, node, family);
    known.set(service, { node: nodeKey, slices: own, result });
    return result;
  };

  const whole = (now: Objects): Compilation => {
    const slicesOf = slicesByService(now.slices, family);
    const services: ServicePortModel[] = [];
    const skipped: { service: string; reason: string }[] = [];
    const problems: ProxyProblem[] = [];
    const byName = new Map(now.services.map((service) => [nameOf(service), service]));
    for (const [name, service] of byName) {
      const reason = whySkipped(service);
      if (reason !== undefined) {
        skipped.push({ service: name, reason });
        continue;
      }
      const result = compiled(service, name, slicesOf.get(name) ?? noSlices, now.node, now.nodeKey);
      services.push(...result.ports);
      problems.push(...result.problems);
    }
    services.sort((a, b) => compare(a.name, b.name) || compare(a.protocol, b.protocol));
    const settled = settleClaims(services, problems);
    skipped.sort((a, b) => compare(a.service, b.service));
    problems.sort((a, b) => compare(a.object, b.object) || compare(a.field, b.field));
    return { ...now, slicesOf, byName, model: { family, services: settled, skipped, problems } };
  };

  /** The last compilation with the slices of a few services replaced; undefined when more than that has changed. */
  const patched = (last: Compilation, now: Objects): Compilation | undefined => {
    if (last.nodeKey !== now.nodeKey || !sameElements(last.services, now.services)) return undefined;
    const changed = changedIndexes(last.slices, now.slices, maxPatched);
    if (!changed || last.model.problems.length > 0) return undefined;
    const names = new Set(changed.flatMap((index) => [serviceOf(last.slices[index]!), serviceOf(now.slices[index]!)]));
    const gone = new Set(changed.map((index) => last.slices[index]!));
    const came = changed.map((index) => now.slices[index]!);
    const slicesOf = new Map(last.slicesOf);
    const replaced = new Map<ServicePortModel, ServicePortModel>();
    for (const name of names) {
      if (name === undefined) continue;
      const before = slicesOf.get(name) ?? noSlices;
      const after = slicesByService([...before.filter((slice) => !gone.has(slice)), ...came], family).get(name) ?? noSlices;
      slicesOf.set(name, after);
      const service = last.byName.get(name);
      if (!service || whySkipped(service) !== undefined) continue;
      const old = compiled(service, name, before, now.node, now.nodeKey);
      const result = compiled(service, name, after, now.node, now.nodeKey);
      // A service that lost an address to another has another model than the one compiled here.
      if (result.problems.length > 0 || old.ports.length !== result.ports.length) return undefined;
      for (const [index, port] of old.ports.entries()) replaced.set(port, result.ports[index]!);
    }
    const services = last.model.services.map((port) => replaced.get(port) ?? port);
    return { ...last, ...now, slicesOf, model: { ...last.model, services } };
  };

  let last: Compilation | undefined;
  return (input) => {
    const node = nodeFacts(input.nodeName, input.node, family);
    const nodeKey = JSON.stringify([node.name, node.zone, node.internalIP?.text]);
    const now = { node, nodeKey, services: [...input.services], slices: [...input.endpointSlices] };
    last = (last && patched(last, now)) ?? whole(now);
    return last.model;
  };
}

const nameOf = ({ metadata }: Service): string => `${metadata.namespace}/${metadata.name}`;
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
