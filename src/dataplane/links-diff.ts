import {
  type LinkAddress,
  type LinkNeighbour,
  type LinkRoute,
  type LinkState,
  linkAddressText,
  linkRouteText,
  type NamespaceState,
} from './links.ts';

/** What a link must be. A field left out may have any value; further addresses are no difference. */
export type DesiredLink = Pick<LinkState, 'name'> & Partial<LinkState>;

export interface DesiredNamespace {
  readonly links: readonly DesiredLink[];
  readonly routes: readonly LinkRoute[];
  /** Neighbours that are to be permanent. */
  readonly neighbours?: readonly LinkNeighbour[];
}

/** One way in which a namespace is not as desired. `desired` and `actual` are texts for people. */
export interface LinkDifference {
  readonly aspect: (typeof comparedFields)[number] | 'link' | 'address' | 'route' | 'neighbour';
  readonly link: string;
  readonly desired: string;
  readonly actual: string;
  /** Aspect `route`: the route that is missing. */
  readonly route?: LinkRoute;
}

const comparedFields = ['kind', 'up', 'mac', 'mtu', 'master', 'hairpin', 'isolated', 'promisc', 'alias'] as const;

/** Every way in which the actual namespace falls short of the desired one, links first. Empty when it is as desired. */
export function diffNamespace(desired: DesiredNamespace, actual: NamespaceState): LinkDifference[] {
  const differences = desired.links.flatMap((link) => diffLink(link, actual.links.get(link.name)));
  const missing = new Set(differences.filter(({ aspect }) => aspect === 'link').map(({ link }) => link));
  for (const route of desired.routes) {
    // A link that is gone has taken its routes along; one line about it is enough.
    if (missing.has(route.device ?? '') || actual.routes.some((other) => sameRoute(route, other))) continue;
    differences.push({ aspect: 'route', link: route.device ?? '', desired: linkRouteText(route), actual: 'absent', route });
  }
  for (const { device, address, mac } of desired.neighbours ?? []) {
    const found = actual.neighbours?.find((other) => other.device === device && other.address.text === address.text);
    if (missing.has(device) || found?.mac === mac) continue;
    differences.push({ aspect: 'neighbour', link: device, desired: `${address.text} lladdr ${mac}`, actual: found?.mac ?? 'absent' });
  }
  return differences;
}

function diffLink(desired: DesiredLink, actual: LinkState | undefined): LinkDifference[] {
  const link = desired.name;
  if (!actual) return [{ aspect: 'link', link, desired: 'present', actual: 'absent' }];
  const differences: LinkDifference[] = [];
  for (const field of comparedFields) {
    const wanted = desired[field];
    if (wanted !== undefined && wanted !== actual[field])
      differences.push({ aspect: field, link, desired: String(wanted), actual: String(actual[field] ?? 'none') });
  }
  const present = new Set(actual.addresses.map(linkAddressText));
  for (const address of desired.addresses ?? []) {
    if (!present.has(linkAddressText(address)))
      differences.push({ aspect: 'address', link, desired: linkAddressText(address), actual: namesOf(actual.addresses) });
  }
  return differences;
}

const namesOf = (addresses: readonly LinkAddress[]): string => addresses.map(linkAddressText).join(', ') || 'none';

/** True when the actual route does all that the desired one asks; fields the desired one leaves out may have any value. */
function sameRoute(desired: LinkRoute, actual: LinkRoute): boolean {
  const same = <K extends 'device' | 'metric' | 'mtu' | 'advmss' | 'scope'>(field: K): boolean =>
    desired[field] === undefined || desired[field] === actual[field];
  return (
    desired.destination.text === actual.destination.text &&
    desired.gateway?.text === actual.gateway?.text &&
    (desired.table ?? 254) === (actual.table ?? 254) &&
    same('device') &&
    same('metric') &&
    same('mtu') &&
    same('advmss') &&
    same('scope')
  );
}
