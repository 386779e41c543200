import { type Family, nthPrefix, type Prefix } from '../net/index.ts';
import { type ClusterCidr, spanOf } from './node-cidrs-options.ts';

/** Who has a block: a node, or a range that no node may have. */
export interface BlockOwner {
  readonly kind: 'node' | 'range';
  readonly text: string;
}

/** The blocks of one family: those of its first cluster CIDR, of the second, and so on, numbered through. */
export interface FamilyPool {
  readonly family: Family;
  readonly clusterCidrs: readonly Prefix[];
  /** Marks the blocks that share addresses with the prefix. Returns whoever had one of them already. */
  occupy(prefix: Prefix, owner: BlockOwner): BlockOwner | undefined;
  /** Go on looking after the last block that shares addresses with one of the prefixes. */
  startAfter(prefixes: readonly Prefix[]): void;
  hasFree(): boolean;
  /** The next free block; now the node's. @throws RangeError when there is none */
  take(node: string): Prefix;
}

/** A pool for each family, in the order in which the families come first. */
export const createPools = (clusterCidrs: readonly ClusterCidr[]): FamilyPool[] =>
  [...new Set(clusterCidrs.map(({ prefix }) => prefix.family))].map((family) =>
    createPool(
      family,
      clusterCidrs.filter(({ prefix }) => prefix.family === family),
    ),
  );

function createPool(family: Family, clusters: readonly ClusterCidr[]): FamilyPool {
  const sizes = clusters.map(({ prefix, nodeMaskSize }) => 2 ** (nodeMaskSize - prefix.length));
  const firsts = sizes.map((_, index) => sizes.slice(0, index).reduce((sum, size) => sum + size, 0));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const taken = new Map<number, BlockOwner>();
  let cursor = 0;

  /** Numbers of the first and the last block that the prefix touches, once for each cluster CIDR that it touches. */
  const spansOf = (prefix: Prefix): { first: number; last: number }[] =>
    clusters.flatMap((cluster, index) => {
      const span = spanOf(cluster, prefix);
      return span ? [{ first: firsts[index]! + span.first, last: firsts[index]! + span.last }] : [];
    });
  const advance = (): boolean => {
    if (taken.size >= total) return false;
    while (taken.has(cursor)) cursor = (cursor + 1) % total;
    return true;
  };
  return {
    family,
    clusterCidrs: clusters.map(({ prefix }) => prefix),
    occupy(prefix, owner) {
      let other: BlockOwner | undefined;
      for (const { first, last } of spansOf(prefix)) {
        for (let block = first; block <= last; block++) {
          other ??= taken.get(block);
          if (!taken.has(block)) taken.set(block, owner);
        }
      }
      return other;
    },
    startAfter(prefixes) {
      const last = Math.max(-1, ...prefixes.flatMap((prefix) => spansOf(prefix).map((span) => span.last)));
      cursor = (last + 1) % total;
    },
    hasFree: advance,
    take(node) {
      if (!advance()) throw new RangeError(`${clusters.map(({ prefix }) => prefix.text).join(', ')}: no block is left`);
      taken.set(cursor, { kind: 'node', text: node });
      const index = firsts.findLastIndex((first) => first <= cursor);
      const { prefix, nodeMaskSize } = clusters[index]!;
      return nthPrefix(prefix, nodeMaskSize, BigInt(cursor - firsts[index]!));
    },
  };
}
