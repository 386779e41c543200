// IP families of Services (the reference's initIPFamilyFields in pkg/registry/core/service/storage/alloc.go; KEP-563).
import type { Family, Prefix } from '../net/index.ts';
import { tryParseAddress } from '../net/index.ts';
import { isHeadless } from './defaults/service.ts';
import type { ServiceSpec, StatusCause } from './types/index.ts';
import { invalid } from './validation/causes.ts';

export type FamilyName = 'IPv4' | 'IPv6';

export const familyName = (family: Family): FamilyName => (family === 6 ? 'IPv6' : 'IPv4');
const other = (name: FamilyName): FamilyName => (name === 'IPv4' ? 'IPv6' : 'IPv4');

/**
 * Fills in ipFamilyPolicy and ipFamilies, in place, and trims what a change to SingleStack gives up. The first of `cidrs` is the default family.
 * Gives what is wrong.
 */
export function applyServiceFamilies(spec: ServiceSpec, old: ServiceSpec | undefined, cidrs: readonly Prefix[]): StatusCause[] {
  if (spec.type === 'ExternalName') return [];
  if (old) trimSecondary(spec, old);
  const served = cidrs.map(({ family }) => familyName(family));
  const primary = served[0] ?? 'IPv4';
  const families: FamilyName[] = [...(spec.ipFamilies ?? [])];
  for (const [index, ip] of (spec.clusterIPs ?? []).entries()) {
    const address = ip === 'None' ? undefined : tryParseAddress(ip);
    if (address && families[index] === undefined) families.push(familyName(address.family));
  }
  const twoAsked = families.length === 2 || (spec.clusterIPs?.length ?? 0) === 2;
  const anywhere = isHeadless(spec) && Object.keys(spec.selector ?? {}).length === 0;
  // Endpoints of a headless service without selector are the user's own: both families, whatever the cluster has.
  spec.ipFamilyPolicy ??= twoAsked || anywhere ? 'RequireDualStack' : 'SingleStack';
  const causes = anywhere ? [] : checkFamilies(spec, families, served);
  if (families.length === 0) families.push(primary);
  const second = other(families[0]!);
  if (families.length === 1 && spec.ipFamilyPolicy !== 'SingleStack' && (anywhere || served.includes(second))) families.push(second);
  spec.ipFamilies = families;
  return causes;
}

function checkFamilies(spec: ServiceSpec, families: readonly FamilyName[], served: readonly FamilyName[]): StatusCause[] {
  const causes: StatusCause[] = [];
  if (spec.ipFamilyPolicy === 'RequireDualStack' && served.length < 2) {
    causes.push(invalid('spec.ipFamilyPolicy', spec.ipFamilyPolicy, 'this cluster is not configured for dual-stack services'));
  }
  if (spec.ipFamilyPolicy === 'SingleStack') {
    for (const list of ['clusterIPs', 'ipFamilies'] as const) {
      if (spec[list]?.length !== 2) continue;
      causes.push(
        invalid(
          'spec.ipFamilyPolicy',
          spec.ipFamilyPolicy,
          `must be RequireDualStack or PreferDualStack when multiple '${list}' are specified`,
        ),
      );
    }
  }
  for (const [index, family] of families.entries()) {
    if (!served.includes(family)) causes.push(invalid(`spec.ipFamilies[${index}]`, family, 'not configured on this cluster'));
  }
  return causes;
}

function trimSecondary(spec: ServiceSpec, old: ServiceSpec): void {
  if (spec.ipFamilyPolicy !== 'SingleStack' || old.ipFamilyPolicy === 'SingleStack') return;
  if (spec.clusterIPs?.length === 2 && spec.clusterIPs.join() === old.clusterIPs?.join()) spec.clusterIPs = spec.clusterIPs.slice(0, 1);
  if (spec.ipFamilies?.length === 2 && spec.ipFamilies.join() === old.ipFamilies?.join()) spec.ipFamilies = spec.ipFamilies.slice(0, 1);
}
