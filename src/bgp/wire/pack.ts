import type { Address, Family, Prefix } from '../../net/index.ts';
import { encodeAttributes } from './attributes-encode.ts';
import { headerLength, maxMessageLength } from './constants.ts';
import { nlriLength } from './nlri.ts';
import type { PathAttributes, UpdateMessage, WireContext } from './types.ts';

/** Routes that share their attributes and next hop. */
export interface Announcement {
  readonly family: Family;
  readonly attributes: PathAttributes;
  readonly nextHop: Address;
  readonly prefixes: readonly Prefix[];
}

const none = { type: 'update', withdrawn: [], nlri: [], findings: [] } as const satisfies UpdateMessage;
/** Body of an UPDATE besides attributes and prefixes, and the head of MP_REACH_NLRI with two IPv6 next hops, rounded up. */
const overhead = headerLength + 4;
const mpOverhead = 48;

/**
 * Spreads changes over as few UPDATEs as fit in 4096 octets each, withdrawals first. IPv4 goes in the classic fields with NEXT_HOP, IPv6 in
 * MP_REACH_NLRI and MP_UNREACH_NLRI. Announcements whose attributes alone fill a message are left out (RFC 4271 section 9.2) and returned.
 */
export function packUpdates(
  withdrawals: readonly Prefix[],
  announcements: readonly Announcement[],
  context: Pick<WireContext, 'fourOctetAsn'>,
): { updates: UpdateMessage[]; tooLong: Announcement[] } {
  const updates: UpdateMessage[] = [];
  const tooLong: Announcement[] = [];
  for (const prefixes of chunks(
    withdrawals.filter(({ family }) => family === 4),
    maxMessageLength - overhead,
  ))
    updates.push({ ...none, withdrawn: prefixes });
  for (const prefixes of chunks(
    withdrawals.filter(({ family }) => family === 6),
    maxMessageLength - overhead - mpOverhead,
  )) {
    updates.push({ ...none, mpUnreach: { family: 6, prefixes } });
  }
  for (const announcement of announcements) {
    const attributes = withNextHop(announcement);
    const room = maxMessageLength - overhead - encodeAttributes(attributes, context).length - (announcement.family === 6 ? mpOverhead : 0);
    if (room < 17) tooLong.push(announcement);
    else {
      for (const prefixes of chunks(announcement.prefixes, room)) {
        updates.push(
          announcement.family === 4
            ? { ...none, attributes, nlri: prefixes }
            : { ...none, attributes, mpReach: { family: 6, nextHop: announcement.nextHop, prefixes } },
        );
      }
    }
  }
  return { updates, tooLong };
}

function withNextHop({ family, attributes, nextHop }: Announcement): PathAttributes {
  if (family === 4) return { ...attributes, nextHop };
  const { nextHop: _classic, ...rest } = attributes;
  return rest;
}

function* chunks(prefixes: readonly Prefix[], room: number): Generator<Prefix[]> {
  let chunk: Prefix[] = [];
  let used = 0;
  for (const prefix of prefixes) {
    const length = nlriLength(prefix);
    if (used + length > room) {
      yield chunk;
      chunk = [];
      used = 0;
    }
    chunk.push(prefix);
    used += length;
  }
  if (chunk.length > 0) yield chunk;
}

/** The End-of-RIB marker of a family (RFC 4724 section 2). */
export const endOfRib = (family: Family): UpdateMessage => (family === 4 ? none : { ...none, mpUnreach: { family, prefixes: [] } });

/** The family that an UPDATE closes, when it is an End-of-RIB marker. */
export function endOfRibFamily({ withdrawn, nlri, attributes, mpReach, mpUnreach, findings }: UpdateMessage): Family | undefined {
  if (withdrawn.length > 0 || nlri.length > 0 || attributes || mpReach || findings.length > 0) return undefined;
  if (!mpUnreach) return 4;
  return mpUnreach.prefixes.length === 0 ? mpUnreach.family : undefined;
}
