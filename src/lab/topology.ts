import { Value } from 'typebox/value';
import { parseDocument } from 'yaml';
import {
  addressBits,
  type Family,
  nthAddress,
  parsePrefix,
  type Prefix,
  prefixContains,
  prefixesOverlap,
  prefixSize,
  tryParseAddress,
} from '../net/index.ts';
import { checkPools, ControllersError, readPools } from '../controllers/index.ts';
import { LabError } from './errors.ts';
import { type LabFile, labDefaults, labFileSchema } from './options.ts';

export interface LabNode {
  readonly name: string;
  /** One per underlay CIDR, in its order. */
  readonly addresses: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** The node has a containerd, which runs its pods. */
  readonly containerd?: {
    /** Paths of the archives of images that it gets. */
    readonly images: readonly string[];
  };
}

/** A lab, resolved: every default filled in, every address chosen, every overlap refused. */
export interface Topology {
  readonly name: string;
  /** The first carries the control plane. */
  readonly nodes: readonly LabNode[];
  readonly underlayCIDRs: readonly string[];
  readonly podCIDRs: readonly string[];
  readonly serviceCIDRs: readonly string[];
  /** CIDRs or FIRST-LAST; without any, Services of type LoadBalancer get no address. */
  readonly loadBalancerPools: readonly string[];
  readonly nodeMaskSizeIPv4: number;
  readonly nodeMaskSizeIPv6: number;
  readonly clusterDomain: string;
  readonly clusterDNS: readonly string[];
  readonly mtu: number;
  /** Loopback port on the host; 0 takes a free one. */
  readonly apiServerPort: number;
  readonly timers: {
    readonly nodeLeaseSeconds: number;
    readonly nodeMonitorGraceSeconds: number;
    readonly bgpHoldSeconds: number;
    readonly bgpRestartSeconds: number;
  };
}

/** Nodes get the 11th address of the underlay and those after it, as in a network whose first addresses are taken by routers. */
const firstNodeAddress = 11n;

/** Reads and resolves a lab file. @throws LabError with one line per problem, each naming the field. */
export function parseLabFile(text: string, source: string): Topology {
  const document = parseDocument(text, { uniqueKeys: true });
  const [problem] = document.errors;
  if (problem) throw new LabError(`${source}: ${problem.message.split('\n')[0]}`);
  return resolveTopology((document.toJS({ maxAliasCount: 0 }) ?? {}) as unknown, source);
}

/** Fills in the defaults, chooses the addresses and checks. @throws LabError */
export function resolveTopology(file: unknown, source = 'lab'): Topology {
  const problems = schemaProblems(file);
  if (problems.length > 0) throw new LabError(problems.map((text) => `${source}: ${text}`));
  const { name, nodes = labDefaults.nodes, network: asked = {}, apiServer, timers } = file as LabFile;
  const network = { ...labDefaults.network, ...asked };
  const underlay = readPrefixes('network.underlayCIDRs', network.underlayCIDRs, problems);
  const pods = readPrefixes('network.podCIDRs', network.podCIDRs, problems);
  const services = readPrefixes('network.serviceCIDRs', network.serviceCIDRs, problems);
  checkOverlaps([...underlay, ...pods, ...services], problems);
  checkFamilies({ underlay, pods, services }, problems);
  checkNodeMasks(pods, network, nodes.length, problems);
  for (const { prefix, field } of underlay) {
    if (prefixSize(prefix) < firstNodeAddress + BigInt(nodes.length) + 1n)
      problems.push(`${field}: ${prefix.text} is too small for ${nodes.length} nodes`);
  }
  for (const { prefix, field } of services)
    if (prefixSize(prefix) < 16n) problems.push(`${field}: ${prefix.text} holds fewer than 16 addresses`);
  const repeated = nodes.map((node) => node.name).filter((node, index, all) => all.indexOf(node) !== index);
  for (const [index, node] of nodes.entries()) {
    if ('images' in node && node.images && node.runtime !== 'cri')
      problems.push(`nodes.${index}.images: only a node with runtime: cri has images; pods of other nodes run programs of the host`);
  }
  for (const node of new Set(repeated)) problems.push(`nodes: two nodes are named ${JSON.stringify(node)}`);
  // Kubernetes' convention: the tenth address of each service range answers DNS.
  const clusterDNS = asked.clusterDNS ?? (problems.length === 0 ? services.map(({ prefix }) => nthAddress(prefix, 10n).text) : []);
  checkDns(clusterDNS, services, problems);
  const loadBalancerPools = asked.loadBalancerPools ?? [];
  if (problems.length === 0) checkLoadBalancerPools(loadBalancerPools, [...pods, ...services], problems);
  if (problems.length > 0) throw new LabError(problems.map((text) => `${source}: ${text}`));
  return {
    name: name ?? labDefaults.name,
    nodes: nodes.map((node, index) => ({
      name: node.name,
      addresses: underlay.map(({ prefix }) => nodeAddress(prefix, index)),
      labels: ('labels' in node && node.labels) || {},
      ...('runtime' in node && node.runtime === 'cri' ? { containerd: { images: node.images ?? [] } } : {}),
    })),
    underlayCIDRs: underlay.map(({ prefix }) => prefix.text),
    podCIDRs: pods.map(({ prefix }) => prefix.text),
    serviceCIDRs: services.map(({ prefix }) => prefix.text),
    loadBalancerPools,
    nodeMaskSizeIPv4: network.nodeMaskSizeIPv4,
    nodeMaskSizeIPv6: network.nodeMaskSizeIPv6,
    clusterDomain: network.clusterDomain,
    clusterDNS,
    mtu: network.mtu,
    apiServerPort: apiServer?.port ?? labDefaults.apiServer.port,
    timers: { ...labDefaults.timers, ...timers },
  };
}

/** IPv6 node addresses read like their IPv4 twins: fd00:88::11 beside 192.168.88.11. */
function nodeAddress(prefix: Prefix, index: number): string {
  const number = firstNodeAddress + BigInt(index);
  return nthAddress(prefix, prefix.family === 4 || prefix.length > 112 ? number : BigInt(`0x${number}`)).text;
}

interface NamedPrefix {
  readonly field: string;
  readonly prefix: Prefix;
}

function schemaProblems(file: unknown): string[] {
  const problems = new Set<string>();
  for (const error of Value.Errors(labFileSchema, file)) {
    const field = error.instancePath.slice(1).replaceAll('/', '.') || 'the file';
    if (error.keyword === 'boolean') problems.add(`unknown field ${field}`);
    else if (error.keyword !== 'additionalProperties') problems.add(`${field} ${error.message}`);
  }
  return [...problems];
}

function readPrefixes(field: string, texts: readonly string[], problems: string[]): NamedPrefix[] {
  return texts.flatMap((text, index) => {
    try {
      return [{ field: `${field}[${index}]`, prefix: parsePrefix(text, { strict: true }) }];
    } catch (error) {
      problems.push(`${field}[${index}]: ${(error as Error).message}`);
      return [];
    }
  });
}

function checkOverlaps(all: readonly NamedPrefix[], problems: string[]): void {
  for (const [index, a] of all.entries()) {
    for (const b of all.slice(index + 1)) {
      if (prefixesOverlap(a.prefix, b.prefix))
        problems.push(`${a.field} ${a.prefix.text} overlaps ${b.field} ${b.prefix.text}; choose ranges apart from each other`);
    }
  }
}

function checkFamilies(ranges: Readonly<Record<string, readonly NamedPrefix[]>>, problems: string[]): void {
  const families = Object.entries(ranges).map(([what, prefixes]) => [what, [...familiesOf(what, prefixes)].join(',')] as const);
  const [first] = families;
  for (const [what, list] of families) {
    if (new Set(list.split(',')).size !== list.split(',').length) problems.push(`network.${what}: two CIDRs of one IP family`);
    if (first && list !== first[1])
      problems.push(`network.${what} has families ${list}, network.${first[0]} has ${first[1]}; they must be the same, in the same order`);
  }
}

/** Nodes get their pod CIDRs out of several ranges of a family as out of one. */
function familiesOf(what: string, prefixes: readonly NamedPrefix[]): Iterable<string> {
  const families = prefixes.map(({ prefix }) => `IPv${prefix.family}`);
  return what === 'pods' ? new Set(families) : families;
}

const maskSize = (family: Family, network: { nodeMaskSizeIPv4: number; nodeMaskSizeIPv6: number }): number =>
  family === 4 ? network.nodeMaskSizeIPv4 : network.nodeMaskSizeIPv6;

function checkNodeMasks(
  pods: readonly NamedPrefix[],
  network: { nodeMaskSizeIPv4: number; nodeMaskSizeIPv6: number },
  nodes: number,
  problems: string[],
): void {
  for (const family of new Set(pods.map(({ prefix }) => prefix.family))) {
    const size = `network.nodeMaskSizeIPv${family}`;
    const mask = maskSize(family, network);
    const own = pods.filter(({ prefix }) => prefix.family === family);
    const unfit = own.filter(({ prefix }) => mask < prefix.length || mask > addressBits(family) - 2);
    for (const { field, prefix } of unfit) problems.push(`${size}: /${mask} does not divide ${field} ${prefix.text}`);
    const room = own.reduce((sum, { prefix }) => sum + (1n << BigInt(Math.max(mask - prefix.length, 0))), 0n);
    if (unfit.length > 0 || room >= BigInt(nodes)) continue;
    const [which, those] = [own.map(({ field, prefix }) => `${field}: ${prefix.text}`).join(', '), own.length > 1 ? 'have' : 'has'];
    problems.push(
      `${which} ${those} room for fewer than ${nodes} node CIDRs of /${mask}; enlarge ${own.length > 1 ? 'them' : 'it'} or ${size}`,
    );
  }
}

function checkLoadBalancerPools(texts: readonly string[], others: readonly NamedPrefix[], problems: string[]): void {
  try {
    const pools = readPools(texts);
    for (const { field, prefix } of others) checkPools(pools, prefix, field);
  } catch (error) {
    if (!(error instanceof ControllersError)) throw error;
    problems.push(`network.loadBalancerPools: ${error.message}`);
  }
}

function checkDns(addresses: readonly string[], services: readonly NamedPrefix[], problems: string[]): void {
  for (const [index, text] of addresses.entries()) {
    const address = tryParseAddress(text);
    if (!address) problems.push(`network.clusterDNS[${index}]: ${JSON.stringify(text)} is not an IP address`);
    else if (!services.some(({ prefix }) => prefixContains(prefix, address))) {
      problems.push(
        `network.clusterDNS[${index}]: ${text} is outside the service CIDRs ${services.map(({ prefix }) => prefix.text).join(', ')}`,
      );
    }
  }
}
