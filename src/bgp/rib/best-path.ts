import { compareAddresses } from '../../net/index.ts';
import { asPathLength, neighborAs } from '../wire/as-path.ts';
import { defaultLocalPref, type Path } from './path.ts';

/** The step of the decision process that left one path, or that a path lost at. */
export type SelectionReason =
  | 'only path'
  | 'locally originated'
  | 'higher local preference'
  | 'shorter AS path'
  | 'lower origin'
  | 'lower MED'
  | 'external over internal'
  | 'lower router id'
  | 'shorter cluster list'
  | 'lower peer address';

export interface Selection {
  readonly best: Path;
  /** What decided between the best path and the last one beside it. */
  readonly reason: SelectionReason;
  /** The paths that lost, each with the step it lost at, in the order of the steps. */
  readonly others: readonly { readonly path: Path; readonly lostAt: SelectionReason }[];
}

/** Keeps the paths for which the number is lowest. */
const lowest =
  (rank: (path: Path) => number | bigint) =>
  (paths: readonly Path[]): Path[] => {
    let least: number | bigint | undefined;
    for (const path of paths) {
      const value = rank(path);
      if (least === undefined || value < least) least = value;
    }
    return paths.filter((path) => rank(path) === least);
  };

const originRank = { igp: 0, egp: 1, incomplete: 2 } as const;

/** MED compares only routes from the same neighbouring AS (RFC 4271 section 9.1.2.2 c); a missing one counts as 0. */
function lowestMed(paths: readonly Path[]): Path[] {
  const least = new Map<number, number>();
  for (const { attributes } of paths) {
    const as = neighborAs(attributes.asPath) ?? 0;
    least.set(as, Math.min(least.get(as) ?? Number.POSITIVE_INFINITY, attributes.med ?? 0));
  }
  return paths.filter(({ attributes }) => (attributes.med ?? 0) === least.get(neighborAs(attributes.asPath) ?? 0));
}

/**
 * The decision process of RFC 4271 section 9.1.2.2, with the tie-breakers of RFC 4456 section 9. Each step takes the whole set of paths that are
 * left, so that the result does not depend on the order in which they came. Interior cost is the same for all: one subnet.
 */
const steps: readonly (readonly [SelectionReason, (paths: readonly Path[]) => Path[]])[] = [
  ['locally originated', lowest(({ source }) => (source.kind === 'local' ? 0 : 1))],
  ['higher local preference', lowest(({ attributes }) => -(attributes.localPref ?? defaultLocalPref))],
  ['shorter AS path', lowest(({ attributes }) => asPathLength(attributes.asPath))],
  ['lower origin', lowest(({ attributes }) => originRank[attributes.origin])],
  ['lower MED', lowestMed],
  ['external over internal', lowest(({ source }) => (source.kind === 'internal' ? 1 : 0))],
  ['lower router id', lowest(({ attributes, source }) => (attributes.originatorId ?? source.routerId).value)],
  ['shorter cluster list', lowest(({ attributes }) => attributes.clusterList?.length ?? 0)],
  ['lower peer address', (paths) => [...paths].sort((a, b) => compareAddresses(a.source.address, b.source.address)).slice(0, 1)],
];

/** Selects among the paths to one prefix. Undefined when none is usable. Pure. */
export function selectBest(paths: Iterable<Path>): Selection | undefined {
  let left: readonly Path[] = [...paths].filter(({ ineligible }) => ineligible === undefined);
  if (left.length === 0) return undefined;
  const others: { path: Path; lostAt: SelectionReason }[] = [];
  let reason: SelectionReason = 'only path';
  for (const [name, keep] of steps) {
    if (left.length === 1) break;
    const kept = keep(left);
    if (kept.length < left.length) {
      reason = name;
      for (const path of left) if (!kept.includes(path)) others.push({ path, lostAt: name });
      left = kept;
    }
  }
  return { best: left[0]!, reason, others };
}
