import { diffRoutes, type Route, type RouteChange } from '../../dataplane/routes.ts';
import type { Selection } from '../rib/best-path.ts';

/** Our routes in the kernel. */
export interface KernelRoutes {
  readonly routes: readonly Route[];
  /** After a restart: the prefixes that we have heard of since; of the others, what is in the kernel stays. Undefined means that we know all. */
  readonly known?: ReadonlySet<string>;
}

/** The loc-RIB as routes: every best path that was learned from a peer. Pure. */
export function renderKernelRoutes(selections: Iterable<Selection>, known?: ReadonlySet<string>): KernelRoutes {
  const routes: Route[] = [];
  for (const { best } of selections) if (best.source.kind !== 'local') routes.push({ destination: best.prefix, gateway: best.nextHop });
  return known ? { routes, known } : { routes };
}

/** What to change. As long as not all is known (after a restart), only what was heard of is removed (RFC 4724 section 4.1). Pure. */
export function diffKernelRoutes(actual: KernelRoutes, desired: KernelRoutes): RouteChange | undefined {
  const change = diffRoutes(actual.routes, desired.routes);
  const { known } = desired;
  if (!change || !known) return change;
  const remove = change.remove.filter(({ destination }) => known.has(destination.text));
  return change.add.length + change.replace.length + remove.length === 0 ? undefined : { ...change, remove };
}
