import { applyListEdits, listEdits } from '../dataplane/list-edits.ts';
import { type Family, isPort, prefixContains, tryParseAddress, tryParsePrefix } from '../net/index.ts';
import type { EndpointSlice, Service, ServicePort } from '../objects/client.ts';
import { type Claims, claimsOf, settleClaims } from './claims.ts';
import { decideEndpoints, readEndpoints } from './endpoints.ts';
import { type NodeFacts, nodeFacts, type ProxyInput, serviceOf, slicesByService, whySkipped } from './input.ts';
import { ipvsWishes } from './ipvs-annotations.ts';
import { isUsed, type ProxyModel, type ProxyProblem, type ServicePortModel } from './model.ts';

/**
 * Services, EndpointSlices and the Node -> what each service port shall do on this node, in one family. The answer depends only on
 * the objects, not on their order. What cannot be programmed is left out and told in `problems`.
 */
export const compileProxy = (input: ProxyInput, family: Family): ProxyModel => createProxyCompiler(family)(input);

/** More changed objects than these at once, and everything is compiled anew. */
const maxPatched = 256;

/** What a compilation is made of. */
interface Objects {
  readonly node: NodeFacts;
  readonly nodeKey: string;
  readonly services: readonly Service[];
  readonly slices: readonly EndpointSlice[];
}

/** A compilation, with what a next one can use of it; the maps are changed in place by it. */
interface Compilation extends Objects {
  readonly slicesOf: Map<string, readonly EndpointSlice[]>;
  readonly byName: Map<string, Service>;
  readonly claims: Claims;
  readonly model: ProxyModel;
}

/**
 * As {@link compileProxy}, but keeps what it made of a service as long as the same objects come again: the answer then holds the
 * same ServicePortModel objects, so that later stages can tell by identity what has not changed. When only a few objects are others, only their
 * services are looked at.
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
    services.sort(byNameAndProtocol);
    const settled = settleClaims(services, problems);
    skipped.sort((a, b) => compare(a.service, b.service));
    problems.sort((a, b) => compare(a.object, b.object) || compare(a.field, b.field));
    return { ...now, slicesOf, byName, claims: settled.claims, model: { family, services: settled.services, skipped, problems } };
  };

  /** The last compilation with a few services made anew; undefined when that does not do, and then the last one is of no more use. */
  const patched = (last: Compilation, now: Objects): Compilation | undefined => {
    if (last.nodeKey !== now.nodeKey || last.model.problems.length > 0) return undefined;
    const services = listEdits(last.services, now.services, maxPatched);
    const slices = services && listEdits(last.slices, now.slices, maxPatched);
    if (!slices) return undefined;
    const { slicesOf, byName, claims } = last;
    const before = new Map<string, readonly ServicePortModel[] | 'skipped'>();
    const changed = [
      ...[...services.removed, ...services.added].map(({ value }) => nameOf(value)),
      ...[...slices.removed, ...slices.added].map(({ value }) => serviceOf(value)),
    ];
    for (const name of changed) {
      const service = name === undefined ? undefined : byName.get(name);
      if (name === undefined || before.has(name)) continue;
      const skipped = service === undefined || whySkipped(service) !== undefined;
      before.set(name, skipped ? 'skipped' : compiled(service, name, slicesOf.get(name) ?? noSlices, now.node, now.nodeKey).ports);
    }
    for (const { value } of services.removed) {
      // Two objects of one name: which of them counts is decided over all.
      if (byName.get(nameOf(value)) !== value) return undefined;
      byName.delete(nameOf(value));
    }
    for (const { value } of services.added) {
      if (byName.has(nameOf(value))) return undefined;
      byName.set(nameOf(value), value);
    }
    const gone = new Set(slices.removed.map(({ value }) => value));
    const came = slicesByService(
      slices.added.map(({ value }) => value),
      family,
    );
    for (const name of before.keys()) {
      const kept = (slicesOf.get(name) ?? noSlices).filter((slice) => !gone.has(slice));
      const own = slicesByService([...kept, ...(came.get(name) ?? noSlices)], family).get(name);
      if (own) slicesOf.set(name, own);
      else slicesOf.delete(name);
    }

    const ports: PortChange[] = [];
    let { skipped } = last.model;
    for (const [name, had] of before) {
      const service = byName.get(name);
      const reason = service && whySkipped(service);
      if (had === 'skipped' || !service || reason !== undefined) {
        skipped = skipped.filter((each) => each.service !== name);
        if (reason !== undefined) skipped = [...skipped, { service: name, reason }].sort((a, b) => compare(a.service, b.service));
      }
      const result =
        service && reason === undefined ? compiled(service, name, slicesOf.get(name) ?? noSlices, now.node, now.nodeKey) : nothing;
      if (result.problems.length > 0) return undefined;
      ports.push({ before: had === 'skipped' ? [] : had, after: result.ports });
    }
    if (!moveClaims(claims, ports)) return undefined;
    return { ...now, slicesOf, byName, claims, model: { ...last.model, skipped, services: replacePorts(last.model.services, ports) } };
  };

  let last: Compilation | undefined;
  return (input) => {
    const node = nodeFacts(input.nodeName, input.node, family);
    const nodeKey = JSON.stringify([node.name, node.zone, node.internalIP?.text]);
    const now = { node, nodeKey, services: [...input.services], slices: [...input.endpointSlices] };
    const usable = last;
    last = undefined;
    last = (usable && patched(usable, now)) ?? whole(now);
    return last.model;
  };
}

/** The ports of one service. */
interface PortChange {
  readonly before: readonly ServicePortModel[];
  readonly after: readonly ServicePortModel[];
}

/** False when two services would have the same address and port. */
function moveClaims(claims: Claims, changes: readonly PortChange[]): boolean {
  for (const { before } of changes) for (const port of before) for (const key of claimsOf(port)) claims.delete(key);
  for (const { after } of changes) {
    for (const port of after) {
      for (const key of claimsOf(port)) {
        if (claims.has(key) && claims.get(key) !== port) return false;
        claims.set(key, port);
      }
    }
  }
  return true;
}

/** The list with the ports of some services replaced, in order again. */
function replacePorts(services: readonly ServicePortModel[], changes: readonly PortChange[]): ServicePortModel[] {
  const removed = changes
    .flatMap(({ before }) => before)
    .map((value) => ({ index: services.indexOf(value, placeOf(services, value)), value }))
    .sort((a, b) => a.index - b.index);
  const came = changes.flatMap(({ after }) => after).sort(byNameAndProtocol);
  let gone = 0;
  const added = came.map((value, before) => {
    const place = placeOf(services, value);
    while (gone < removed.length && removed[gone]!.index < place) gone++;
    return { index: place - gone + before, value };
  });
  return applyListEdits(services, { removed, added });
}

/** Where a port stands or would stand in the ordered list. */
function placeOf(services: readonly ServicePortModel[], port: ServicePortModel): number {
  let [low, high] = [0, services.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (byNameAndProtocol(services[middle]!, port) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

const nameOf = ({ metadata }: Service): string => `${metadata.namespace}/${metadata.name}`;
const noSlices: readonly EndpointSlice[] = [];
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const byNameAndProtocol = (a: ServicePortModel, b: ServicePortModel): number => compare(a.name, b.name) || compare(a.protocol, b.protocol);
const sameElements = <T>(a: readonly T[], b: readonly T[]): boolean =>
  a.length === b.length && a.every((element, index) => element === b[index]);

interface CompiledService {
  readonly ports: readonly ServicePortModel[];
  readonly problems: readonly ProxyProblem[];
}

const nothing: CompiledService = { ports: [], problems: [] };

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
    const backends = endpoints.filter(({ underCluster, underLocal }) => isUsed(underCluster) || isUsed(underLocal));
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
        backends,
        hasEndpoints,
        ...ipvsWishes(service.metadata.annotations, port.port, backends, external, problem),
      },
    ];
  };
  return { ports: (spec.ports ?? []).flatMap(toModel), problems };
}
