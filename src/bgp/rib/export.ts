import type { Address, Family } from '../../net/index.ts';
import { prependAs } from '../wire/as-path.ts';
import { wellKnownCommunities } from '../wire/constants.ts';
import type { PathAttributes } from '../wire/types.ts';
import { defaultLocalPref, type Path } from './path.ts';

export interface ExportContext {
  readonly localAsn: number;
  /** The peer is in our AS. */
  readonly internal: boolean;
  readonly peer: string;
  readonly peerAddress: Address;
  readonly families: readonly Family[];
  readonly exportPolicy: 'all' | 'none';
  /** What we put as next hop of a family; undefined when we have no address in it. */
  readonly ownNextHop: (family: Family) => Address | undefined;
  /** Names us as next hop to internal peers too. */
  readonly nextHopSelf: boolean;
}

export interface ExportedRoute {
  readonly attributes: PathAttributes;
  readonly nextHop: Address;
}

/** What a peer is told of our best path, or undefined when it is not for the peer. Pure. */
export function exportPath(path: Path, context: ExportContext): ExportedRoute | undefined {
  const { source, attributes, prefix } = path;
  if (context.exportPolicy === 'none' || source.peer === context.peer || !context.families.includes(prefix.family)) return undefined;
  // RFC 4271 section 9.2: what an internal peer said is not said to another, every one has it first hand.
  if (source.kind === 'internal' && context.internal) return undefined;
  if (!communitiesAllow(attributes.communities ?? [], context.internal)) return undefined;
  const nextHop = exportedNextHop(path, context);
  // A peer must not be told to reach a prefix through itself.
  if (nextHop === undefined || nextHop.text === context.peerAddress.text) return undefined;
  return {
    attributes: context.internal ? forInternal(attributes) : forExternal(attributes, source.kind === 'local', context.localAsn),
    nextHop,
  };
}

/** RFC 1997. */
function communitiesAllow(communities: readonly number[], internal: boolean): boolean {
  if (communities.includes(wellKnownCommunities.noAdvertise)) return false;
  return internal || !(communities.includes(wellKnownCommunities.noExport) || communities.includes(wellKnownCommunities.noExportSubconfed));
}

/** RFC 4271 section 5.1.3: kept towards internal peers, our own towards external ones. */
function exportedNextHop({ nextHop, source, prefix }: Path, context: ExportContext): Address | undefined {
  const keep = source.kind === 'local' || (context.internal && !context.nextHopSelf);
  return keep && nextHop.family === prefix.family ? nextHop : context.ownNextHop(prefix.family);
}

function forInternal(attributes: PathAttributes): PathAttributes {
  return { ...attributes, localPref: attributes.localPref ?? defaultLocalPref };
}

/** LOCAL_PREF, ORIGINATOR_ID and CLUSTER_LIST stay inside the AS; the MED of another AS is not passed on (RFC 4271 section 5.1.4). */
function forExternal(attributes: PathAttributes, local: boolean, localAsn: number): PathAttributes {
  const { localPref: _localPref, med, originatorId: _originator, clusterList: _cluster, ...rest } = attributes;
  return { ...rest, asPath: prependAs(attributes.asPath, localAsn), ...(local && med !== undefined ? { med } : {}) };
}
