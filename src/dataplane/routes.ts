import { type Address, compareAddresses, type Prefix } from '../net/index.ts';

/** A unicast route of the kernel's main table. */
export interface Route {
  readonly destination: Prefix;
  /** Undefined for a route on a link, and for one with several next hops. */
  readonly gateway?: Address;
  /** Output device; where undefined in a desired route, the kernel finds it by the gateway. */
  readonly device?: string;
  /** Undefined stands for the kernel's default: 0 for IPv4, 1024 for IPv6. */
  readonly metric?: number;
  /** Usable now; false when the kernel marks it dead or its link as down. Not compared. */
  readonly up?: boolean;
}

/** What turns the actual routes of one protocol number into the desired ones. Order: remove, then replace, then add. */
export interface RouteChange {
  readonly remove: readonly Route[];
  /** Destination and metric exist already, with another gateway. */
  readonly replace: readonly Route[];
  readonly add: readonly Route[];
}

export const routeMetric = ({ metric, destination }: Route): number => metric ?? (destination.family === 4 ? 0 : 1024);

const keyOf = (route: Route): string => `${route.destination.text} ${routeMetric(route)}`;

/** True when an actual route is what the desired one asks for. */
const satisfies = (actual: Route, desired: Route): boolean =>
  actual.gateway?.text === desired.gateway?.text && (desired.device === undefined || actual.device === desired.device);

/**
 * The difference between the routes that are there and those that should be. Several actual routes of one destination and metric (appended by hand)
 * are reduced to the desired one. Undefined when nothing is to be done. Pure; the result is ordered by destination.
 */
export function diffRoutes(actual: readonly Route[], desired: readonly Route[]): RouteChange | undefined {
  const remove: Route[] = [];
  const replace: Route[] = [];
  const add: Route[] = [];
  const wanted = new Map(desired.map((route) => [keyOf(route), route]));
  const present = Map.groupBy(actual, keyOf);
  for (const [key, routes] of present) {
    const want = wanted.get(key);
    const match = want && routes.find((route) => satisfies(route, want));
    // The kernel replaces the first route of a destination, so the others go when none fits.
    if (want && !match) replace.push(want);
    remove.push(...(match ? routes.filter((route) => route !== match) : routes.slice(want ? 1 : 0)));
  }
  for (const [key, route] of wanted) if (!present.has(key)) add.push(route);
  if (remove.length + replace.length + add.length === 0) return undefined;
  return { remove: remove.sort(byDestination), replace: replace.sort(byDestination), add: add.sort(byDestination) };
}

function byDestination(a: Route, b: Route): number {
  return (
    compareAddresses(a.destination.address, b.destination.address) ||
    a.destination.length - b.destination.length ||
    routeMetric(a) - routeMetric(b)
  );
}
