// Cluster IPs and node ports of Services: which to choose, and whether those asked for may be had. Pure; the caller stores what it gets
// together with the Service.
import { addressBits, nthAddress, type Prefix, prefixContains, prefixSize, tryParseAddress } from '../net/index.ts';
import { isHeadless, needsClusterIP, needsHealthCheckNodePort, needsNodePort } from './defaults/service.ts';
import type { AnyObject } from './kind.ts';
import { applyServiceFamilies, familyName } from './service-families.ts';
import type { ServiceSpec, StatusCause } from './types/index.ts';
import { invalid } from './validation/causes.ts';

/** What the Services of the cluster hold. */
export interface ServiceUse {
  /** Cluster IPs in canonical text. */
  readonly addresses: ReadonlySet<string>;
  /** Node ports and health check node ports; one port belongs to one Service, whatever the protocol. */
  readonly nodePorts: ReadonlySet<number>;
}

/** Where new addresses and ports come from. */
export interface ServicePool {
  /** One per family; the first is the default family. */
  readonly cidrs: readonly Prefix[];
  /** Both ends belong to it, e.g. 30000 and 32767. */
  readonly nodePorts: { readonly first: number; readonly last: number };
  readonly used: ServiceUse;
  /** From 0 up to but not including 1. */
  readonly random: () => number;
}

/** What these Services hold. */
export function serviceUse(services: Iterable<{ spec?: ServiceSpec }>): ServiceUse {
  const addresses = new Set<string>();
  const nodePorts = new Set<number>();
  for (const { spec } of services) {
    for (const ip of heldAddresses(spec)) addresses.add(ip);
    for (const port of heldNodePorts(spec)) nodePorts.add(port);
  }
  return { addresses, nodePorts };
}

const heldAddresses = (spec: ServiceSpec | undefined): string[] =>
  (spec?.clusterIPs ?? []).flatMap((ip) => tryParseAddress(ip)?.text ?? []);

const heldNodePorts = (spec: ServiceSpec | undefined): number[] =>
  [...(spec?.ports ?? []).map(({ nodePort }) => nodePort), spec?.healthCheckNodePort].filter(
    (port) => port !== undefined && port > 0,
  ) as number[];

/**
 * The Service with its ipFamilies, clusterIPs and node ports filled in, and what is wrong with those it asks for. `old` is its state before an
 * update; what it holds already it keeps. Run after defaults, prepareForCreate or prepareForUpdate, and validation. The input is not changed.
 */
export function allocateServiceAddresses(
  service: AnyObject,
  old: AnyObject | undefined,
  pool: ServicePool,
): { service: AnyObject; causes: StatusCause[] } {
  const result = structuredClone(service);
  const spec = (result.spec ??= {}) as ServiceSpec;
  const before = old?.spec as ServiceSpec | undefined;
  const causes = applyServiceFamilies(spec, before, pool.cidrs);
  if (causes.length === 0) {
    causes.push(...allocateClusterIPs(spec, new Set(heldAddresses(before)), pool));
    causes.push(...allocateNodePorts(spec, new Set(heldNodePorts(before)), pool));
  }
  return { service: result, causes };
}

function allocateClusterIPs(spec: ServiceSpec, own: ReadonlySet<string>, pool: ServicePool): StatusCause[] {
  if (!needsClusterIP(spec)) return [];
  if (isHeadless(spec)) {
    spec.clusterIP = 'None';
    spec.clusterIPs = ['None'];
    return [];
  }
  const asked = spec.clusterIPs ?? [];
  const chosen: string[] = [];
  const refuse = (ip: string, why: string) => [invalid('spec.clusterIPs', asked, `failed to allocate IP ${ip}: ${why}`)];
  for (const [index, family] of (spec.ipFamilies ?? []).entries()) {
    const prefix = pool.cidrs.find((cidr) => familyName(cidr.family) === family)!;
    const ip = asked[index];
    if (ip) {
      const address = tryParseAddress(ip);
      if (!address || !isUsable(prefix, address.value - prefix.address.value) || !prefixContains(prefix, address)) {
        return refuse(ip, `the provided IP (${ip}) is not in the valid range. The range of valid IPs is ${prefix.text}`);
      }
      if (pool.used.addresses.has(address.text) && !own.has(address.text)) return refuse(ip, 'provided IP is already allocated');
      chosen.push(ip);
    } else {
      const free = chooseAddress(prefix, pool);
      if (free === undefined) return [internal('spec.clusterIPs', `failed to allocate a serviceIP: range is full`)];
      chosen.push(free);
    }
  }
  spec.clusterIPs = chosen;
  spec.clusterIP = chosen[0] ?? '';
  return [];
}

/** The network address is no host's, nor is the last one in IPv4. */
const isUsable = (prefix: Prefix, index: bigint): boolean => index >= 1n && index <= lastIndex(prefix);

/** As the reference, at most 65,536 addresses of a range are handed out. */
const most = 1n << 16n;

function lastIndex(prefix: Prefix): bigint {
  const size = prefixSize(prefix);
  const last = prefix.family === 4 && prefix.length < addressBits(4) - 1 ? size - 2n : size - 1n;
  return last;
}

function chooseAddress(prefix: Prefix, { used, random }: ServicePool): string | undefined {
  const last = lastIndex(prefix) < most ? Number(lastIndex(prefix)) : Number(most);
  return firstFree(1, last, staticBand(last, 16, 256, 16), random, (index) => {
    const { text } = nthAddress(prefix, BigInt(index));
    return used.addresses.has(text) ? undefined : text;
  });
}

/** How many places at the low end are kept for those who ask for a certain one (KEP-3070, KEP-3668). */
function staticBand(size: number, least: number, greatest: number, step: number): number {
  return size < least ? 0 : Math.min(Math.max(Math.floor(size / step), least), greatest);
}

/** Looks from a random place above the band upwards, round to it, and in the band only then. */
function firstFree<T>(
  first: number,
  last: number,
  band: number,
  random: () => number,
  take: (place: number) => T | undefined,
): T | undefined {
  const upper = Math.min(first + band, last);
  for (const [from, to] of [
    [upper, last],
    [first, upper - 1],
  ] as const) {
    const size = to - from + 1;
    const start = Math.floor(random() * size);
    for (let offset = 0; offset < size; offset++) {
      const found = take(from + ((start + offset) % size));
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

function allocateNodePorts(spec: ServiceSpec, own: ReadonlySet<number>, pool: ServicePool): StatusCause[] {
  const { first, last } = pool.nodePorts;
  // Two ports of one Service may share a number when their protocols differ; validation has seen to that.
  const asked = new Set(heldNodePorts(spec));
  const problem = (port: number): string | undefined => {
    if (own.has(port)) return undefined;
    if (port < first || port > last) return `provided port is not in the valid range. The range of valid ports is ${first}-${last}`;
    return pool.used.nodePorts.has(port) ? 'provided port is already allocated' : undefined;
  };
  const choose = (): number | undefined => {
    const port = firstFree(first, last, staticBand(last - first + 1, 16, 128, 32), pool.random, (place) =>
      pool.used.nodePorts.has(place) || asked.has(place) ? undefined : place,
    );
    if (port !== undefined) asked.add(port);
    return port;
  };
  const causes: StatusCause[] = [];
  const claim = (port: number | undefined, field: string, wanted: boolean): number | undefined => {
    if (port) {
      const text = problem(port);
      if (text) causes.push(invalid(field, port, text));
      return port;
    }
    if (!wanted) return undefined;
    const chosen = choose();
    if (chosen === undefined) causes.push(internal(field, 'failed to allocate a nodePort: range is full'));
    return chosen;
  };
  const shared = new Map<number, number>();
  for (const [index, port] of (spec.ports ?? []).entries()) {
    // TCP and UDP on one service port get one node port, as DNS wants it.
    const twin = port.nodePort ? undefined : shared.get(port.port);
    const nodePort = twin ?? claim(port.nodePort, `spec.ports[${index}].nodePort`, needsNodePort(spec));
    if (nodePort !== undefined) {
      port.nodePort = nodePort;
      shared.set(port.port, nodePort);
    }
  }
  const health = claim(spec.healthCheckNodePort, 'spec.healthCheckNodePort', needsHealthCheckNodePort(spec));
  if (health !== undefined) spec.healthCheckNodePort = health;
  return causes;
}

const internal = (field: string, detail: string): StatusCause => ({ reason: 'InternalError', message: `Internal error: ${detail}`, field });
