import { type Family, type Prefix, tryParsePrefix } from '../net/index.ts';
import { type ClusterCidr, spanOf } from './node-cidrs-options.ts';
import { createPools, type FamilyPool } from './node-cidrs-pool.ts';

export interface NodeCidrInput {
  /** Any number of each family; the family of the first is the primary one. */
  readonly clusterCidrs: readonly ClusterCidr[];
  /** Never given to a node: service CIDRs or addresses of nodes inside a cluster CIDR. `name` says what it is, for the problem. */
  readonly excluded: readonly { readonly name: string; readonly prefix: Prefix }[];
  /** In any order; the result does not depend on it. */
  readonly nodes: readonly NodeWithCidrs[];
}

export interface NodeWithCidrs {
  readonly name: string;
  readonly podCIDRs: readonly string[];
  /** When the node was made (ms since the epoch), as far as known. */
  readonly createdAt?: number;
}

export interface NodeCidrPlan {
  /** Nodes that have no CIDR yet and what each gets: one of each family, the primary first. */
  readonly assignments: ReadonlyMap<string, readonly Prefix[]>;
  /** Nodes that must wait, and the cluster CIDRs of the first family that has no block left. Nothing is reserved for them. */
  readonly exhausted: readonly { readonly node: string; readonly clusterCidrs: readonly Prefix[] }[];
  /** Nodes whose own CIDRs cannot be honoured as they are. They keep them; nobody else gets them. */
  readonly conflicts: readonly { readonly node: string; readonly problem: string }[];
}

/**
 * Which node gets which pod CIDRs. What nodes have already is honoured first; a node without any gets a block of every family, or of none.
 *
 * Blocks are given one after another, going on from those of the youngest node (next-fit) and around the end of the last cluster CIDR. So the
 * blocks of a node that is gone rest until the others have been used: routes and flows to its pods are forgotten by then. A node that is gone is
 * simply not in the input, and so its blocks are free. Pure; a function of the present alone, with no memory that a restart could lose.
 */
export function planNodeCidrs({ clusterCidrs, excluded, nodes }: NodeCidrInput): NodeCidrPlan {
  const sorted = [...nodes].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const pools = createPools(clusterCidrs);
  for (const { name, prefix } of excluded) for (const pool of pools) pool.occupy(prefix, { kind: 'range', text: `${name} ${prefix.text}` });
  const conflicts = sorted.flatMap(({ name, podCIDRs }) =>
    podCIDRs.flatMap((cidr) => {
      const problem = occupy(pools, clusterCidrs, name, cidr);
      return problem === undefined ? [] : [{ node: name, problem }];
    }),
  );
  const youngest = youngestOf(sorted);
  for (const pool of pools) pool.startAfter(youngest.flatMap(({ podCIDRs }) => podCIDRs.flatMap((text) => tryParsePrefix(text) ?? [])));
  const assignments = new Map<string, readonly Prefix[]>();
  const exhausted: { node: string; clusterCidrs: readonly Prefix[] }[] = [];
  for (const { name, podCIDRs } of sorted) {
    if (podCIDRs.length > 0) continue;
    // All are looked at before one is taken: a family that has none left costs nothing of another.
    const full = pools.find((pool) => !pool.hasFree());
    if (full) exhausted.push({ node: name, clusterCidrs: full.clusterCidrs });
    else
      assignments.set(
        name,
        pools.map((pool) => pool.take(name)),
      );
  }
  return { assignments, exhausted, conflicts };
}

/** Of the nodes that have CIDRs, those that were made last. */
function youngestOf(nodes: readonly NodeWithCidrs[]): readonly NodeWithCidrs[] {
  const known = nodes.filter(({ podCIDRs }) => podCIDRs.length > 0);
  const last = known.reduce((latest, { createdAt = 0 }) => Math.max(latest, createdAt), 0);
  return known.filter(({ createdAt = 0 }) => createdAt === last);
}

/** Gives the node what it has. Returns what is wrong with that. */
function occupy(pools: readonly FamilyPool[], clusterCidrs: readonly ClusterCidr[], node: string, cidr: string): string | undefined {
  const prefix = tryParsePrefix(cidr);
  if (!prefix) return `spec.podCIDRs: ${JSON.stringify(cidr)} is not a CIDR`;
  const pool = pools.find(({ family }) => family === prefix.family);
  if (!pool || !clusterCidrs.some((cluster) => spanOf(cluster, prefix)))
    return `spec.podCIDRs: ${prefix.text} is outside the cluster CIDR ${describe(pool, prefix.family)}`;
  const other = pool.occupy(prefix, { kind: 'node', text: node });
  if (other === undefined) return undefined;
  return `spec.podCIDRs: ${prefix.text} overlaps ${other.kind === 'node' ? `that of node ${other.text}` : other.text}`;
}

const describe = (pool: FamilyPool | undefined, family: Family): string =>
  pool?.clusterCidrs.map(({ text }) => text).join(', ') ?? `(there is none of IPv${family})`;
