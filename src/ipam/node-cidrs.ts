import { type Family, nthPrefix, type Prefix, tryParsePrefix } from '../net/index.ts';
import { type BlockSpan, type ClusterCidr, spanOf } from './node-cidrs-options.ts';

export interface NodeCidrInput {
  /** One or two, at most one of each family, the primary family first. */
  readonly clusterCidrs: readonly ClusterCidr[];
  /** Never given to a node, e.g. service CIDRs inside a cluster CIDR. */
  readonly excluded: readonly Prefix[];
  /** In any order; the result does not depend on it. */
  readonly nodes: readonly { readonly name: string; readonly podCIDRs: readonly string[] }[];
}

export interface NodeCidrPlan {
  /** Nodes that have no CIDR yet and what each gets: one of each family, the primary first. */
  readonly assignments: ReadonlyMap<string, readonly Prefix[]>;
  /** Nodes that must wait, and the cluster CIDR that has no block left. Nothing is reserved for them. */
  readonly exhausted: readonly { readonly node: string; readonly clusterCidr: Prefix }[];
  /** Nodes whose own CIDRs cannot be honoured as they are. They keep them; nobody else gets them. */
  readonly conflicts: readonly { readonly node: string; readonly problem: string }[];
}

/**
 * Which node gets which pod CIDRs. What nodes have already is honoured first; a node without any gets the lowest free block of every
 * family, or of none. A node that is gone is simply not in the input, and so its blocks are free. Pure; a function of the present alone.
 */
export function planNodeCidrs({ clusterCidrs, excluded, nodes }: NodeCidrInput): NodeCidrPlan {
  const pools = clusterCidrs.map((cluster) => createPool(cluster, excluded));
  const sorted = [...nodes].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const conflicts = sorted.flatMap(({ name, podCIDRs }) =>
    podCIDRs.flatMap((cidr) => {
      const problem = occupy(pools, name, cidr);
      return problem === undefined ? [] : [{ node: name, problem }];
    }),
  );
  const assignments = new Map<string, readonly Prefix[]>();
  const exhausted: { node: string; clusterCidr: Prefix }[] = [];
  for (const { name, podCIDRs } of sorted) {
    if (podCIDRs.length > 0) continue;
    const full = pools.find((pool) => pool.lowestFree() === undefined);
    if (full) exhausted.push({ node: name, clusterCidr: full.cluster.prefix });
    else
      assignments.set(
        name,
        pools.map((pool) => pool.take(name)),
      );
  }
  return { assignments, exhausted, conflicts };
}

interface Pool {
  readonly cluster: ClusterCidr;
  /** Marks the blocks as the node's; the name of whoever had one of them already. */
  occupy(span: BlockSpan, node: string): string | undefined;
  lowestFree(): number | undefined;
  take(node: string): Prefix;
}

function createPool(cluster: ClusterCidr, excluded: readonly Prefix[]): Pool {
  const blocks = 2 ** (cluster.nodeMaskSize - cluster.prefix.length);
  const taken = new Map<number, string>();
  let cursor = 0;
  const pool: Pool = {
    cluster,
    occupy({ first, last }, node) {
      let other: string | undefined;
      for (let block = first; block <= last; block++) {
        other ??= taken.get(block);
        if (!taken.has(block)) taken.set(block, node);
      }
      return other;
    },
    lowestFree() {
      while (cursor < blocks && taken.has(cursor)) cursor++;
      return cursor < blocks ? cursor : undefined;
    },
    take(node) {
      const block = pool.lowestFree();
      if (block === undefined) throw new RangeError(`${cluster.prefix.text} has no block left`);
      taken.set(block, node);
      return nthPrefix(cluster.prefix, cluster.nodeMaskSize, BigInt(block));
    },
  };
  for (const prefix of excluded) {
    const span = spanOf(cluster, prefix);
    if (span) pool.occupy(span, '');
  }
  return pool;
}

function occupy(pools: readonly Pool[], node: string, cidr: string): string | undefined {
  const prefix = tryParsePrefix(cidr);
  if (!prefix) return `spec.podCIDRs: ${JSON.stringify(cidr)} is not a CIDR`;
  const pool = pools.find(({ cluster }) => cluster.prefix.family === prefix.family);
  const span = pool && spanOf(pool.cluster, prefix);
  if (!pool || !span) return `spec.podCIDRs: ${prefix.text} is outside the cluster CIDR ${describe(pools, prefix.family)}`;
  const other = pool.occupy(span, node);
  if (other === undefined) return undefined;
  return other === ''
    ? `spec.podCIDRs: ${prefix.text} overlaps a reserved range such as the service CIDR`
    : `spec.podCIDRs: ${prefix.text} overlaps that of node ${other}`;
}

const describe = (pools: readonly Pool[], family: Family): string =>
  pools.find(({ cluster }) => cluster.prefix.family === family)?.cluster.prefix.text ?? `(there is none of IPv${family})`;
