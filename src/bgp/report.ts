import type { Selection } from './rib/best-path.ts';
import type { Path } from './rib/path.ts';
import type { PeerReport } from './speaker/types.ts';
import { formatAsPath } from './wire/as-path.ts';

export interface RouteReport {
  readonly prefix: string;
  readonly nextHop: string;
  /** Name of the peer, or `local`. */
  readonly from: string;
  readonly asPath: string;
  /** Why this path was chosen. */
  readonly reason: string;
  /** Paths that were not chosen, and the step each one lost at. */
  readonly others: readonly { readonly from: string; readonly lostAt: string }[];
  /** The peer that it came from is away; kept for its restart time. */
  readonly stale: boolean;
  /** Always false for our own prefixes, which are on a link here. */
  readonly inKernel: boolean;
  /** Why it is not in the kernel. */
  readonly problem?: string;
}

/** The state of the route daemon as plain data. */
export interface BgpReport {
  readonly asn: number;
  readonly routerId?: string;
  readonly listening: readonly string[];
  /** After a restart, while found kernel routes wait for the peers. */
  readonly deferring: boolean;
  readonly peers: readonly PeerReport[];
  readonly routes: readonly RouteReport[];
  /** What in the input could not be used. */
  readonly problems: readonly string[];
}

export interface RouteFacts {
  nameOf(peer: string): string;
  isStale(path: Path): boolean;
  inKernel(path: Path): boolean;
  problemOf(prefix: string): string | undefined;
}

/** The loc-RIB for people, ordered by prefix. Pure. */
export function reportRoutes(selections: ReadonlyMap<string, Selection>, facts: RouteFacts): RouteReport[] {
  return [...selections.values()].map(({ best, reason, others }) => {
    const problem = facts.problemOf(best.prefix.text);
    return {
      prefix: best.prefix.text,
      nextHop: best.nextHop.text,
      from: facts.nameOf(best.source.peer),
      asPath: formatAsPath(best.attributes.asPath),
      reason,
      others: others.map(({ path, lostAt }) => ({ from: facts.nameOf(path.source.peer), lostAt })),
      stale: facts.isStale(best),
      inKernel: best.source.kind !== 'local' && facts.inKernel(best),
      ...(problem === undefined ? {} : { problem }),
    };
  });
}
