import { type Family, lastAddress, type Prefix, parsePrefix, prefixesOverlap } from '../net/index.ts';

/** A cluster CIDR and the prefix length of the blocks that nodes get out of it. */
export interface ClusterCidr {
  readonly prefix: Prefix;
  readonly nodeMaskSize: number;
}

/** Cluster, service or node CIDRs that cannot be used as they are given. The message names the options and what is wrong. */
export class NodeCidrError extends Error {
  readonly code: 'bad-cidr' | 'overlap' | 'bad-mask-size';
  constructor(code: NodeCidrError['code'], message: string) {
    super(message);
    this.name = 'NodeCidrError';
    this.code = code;
  }
}

export interface NodeCidrOptions {
  /** Any number of each family. Nodes get a CIDR of each family that is here, the first one's family first. */
  readonly clusterCidrs: readonly string[];
  /** At most one of each family. */
  readonly serviceCidrs: readonly string[];
  readonly nodeMaskSizes: Readonly<Record<Family, number>>;
}

/** A cluster CIDR holds at most 2^16 nodes, as in kube-controller-manager. */
const maxBlockBits = 16;

/**
 * Reads and checks the options of the allocator.
 * @throws NodeCidrError when a text is no CIDR, two service CIDRs are of one family, a mask size does not fit, or any two ranges overlap.
 */
export function readNodeCidrOptions({ clusterCidrs, serviceCidrs, nodeMaskSizes }: NodeCidrOptions): {
  clusterCidrs: ClusterCidr[];
  serviceCidrs: Prefix[];
} {
  const clusters = readRanges('cluster CIDR', clusterCidrs);
  const services = readRanges('service CIDR', serviceCidrs);
  if (clusters.length === 0) throw new NodeCidrError('bad-cidr', 'cluster CIDR: at least one is needed, such as 10.244.0.0/16');
  refuseSameFamily(services);
  checkOverlaps([...clusters, ...services]);
  const sized = clusters.map(({ prefix }) => ({ prefix, nodeMaskSize: checkMaskSize(prefix, nodeMaskSizes[prefix.family]) }));
  return { clusterCidrs: sized, serviceCidrs: services.map(({ prefix }) => prefix) };
}

export interface NamedPrefix {
  /** What it is, for the error, e.g. `service CIDR`. */
  readonly name: string;
  readonly prefix: Prefix;
}

/** @throws NodeCidrError (overlap) naming the first two that overlap. */
export function checkOverlaps(ranges: readonly NamedPrefix[]): void {
  for (const [index, a] of ranges.entries()) {
    const b = ranges.slice(0, index).find((other) => prefixesOverlap(a.prefix, other.prefix));
    if (b)
      throw new NodeCidrError(
        'overlap',
        `${b.name} ${b.prefix.text} overlaps ${a.name} ${a.prefix.text}; choose ranges that do not share addresses`,
      );
  }
}

function readRanges(name: string, texts: readonly string[]): NamedPrefix[] {
  return texts.map((text) => {
    try {
      return { name, prefix: parsePrefix(text, { strict: true }) };
    } catch (error) {
      throw new NodeCidrError('bad-cidr', `${name}: ${(error as Error).message}`);
    }
  });
}

function refuseSameFamily(ranges: readonly NamedPrefix[]): void {
  for (const [index, { name, prefix }] of ranges.entries()) {
    const first = ranges.slice(0, index).find((other) => other.prefix.family === prefix.family);
    if (first)
      throw new NodeCidrError(
        'bad-cidr',
        `${name}: ${first.prefix.text} and ${prefix.text} are both IPv${prefix.family}; give at most one of each family`,
      );
  }
}

function checkMaskSize(prefix: Prefix, size: number): number {
  const longest = Math.min(prefix.length + maxBlockBits, prefix.family === 4 ? 30 : 126);
  if (Number.isInteger(size) && size >= prefix.length && size <= longest) return size;
  throw new NodeCidrError(
    'bad-mask-size',
    `node CIDR mask size for IPv${prefix.family}: /${size} does not fit cluster CIDR ${prefix.text}; allowed are /${prefix.length} to /${longest}`,
  );
}

/** The first and the last block number, both included. */
export interface BlockSpan {
  readonly first: number;
  readonly last: number;
}

/** Which blocks of the cluster CIDR share addresses with the prefix; undefined when none does. */
export function spanOf({ prefix: cluster, nodeMaskSize }: ClusterCidr, prefix: Prefix): BlockSpan | undefined {
  if (!prefixesOverlap(cluster, prefix)) return undefined;
  const hostBits = BigInt((cluster.family === 4 ? 32 : 128) - nodeMaskSize);
  const base = cluster.address.value;
  const number = (value: bigint): number => Number((value - base) >> hostBits);
  const start = prefix.address.value > base ? prefix.address.value : base;
  const end = [lastAddress(prefix).value, lastAddress(cluster).value].reduce((a, b) => (a < b ? a : b));
  return { first: number(start), last: number(end) };
}
