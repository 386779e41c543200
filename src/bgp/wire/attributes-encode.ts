import { type Address, addressToBytes } from '../../net/index.ts';
import { type AsPath, asPathAsns, writeAsPath } from './as-path.ts';
import { afiOf, asTrans, attributeFlags, attributeTypes, safiUnicast } from './constants.ts';
import { writePrefix } from './nlri.ts';
import type { MpReach, MpUnreach, PathAttributes, WireContext } from './types.ts';
import { Writer } from './writer.ts';

const wellKnown = attributeFlags.transitive;
const optionalTransitive = attributeFlags.optional | attributeFlags.transitive;
const optional = attributeFlags.optional;
const originCodes = { igp: 0, egp: 1, incomplete: 2 } as const;

/** All attributes of a route but MP_REACH_NLRI, in the order of their type codes. */
export function encodeAttributes(attributes: PathAttributes, { fourOctetAsn }: Pick<WireContext, 'fourOctetAsn'>): Uint8Array {
  const out = new Writer();
  const put = (flags: number, type: number, fill: (value: Writer) => void): void => writeAttribute(out, flags, type, fill);
  const octets = fourOctetAsn ? 4 : 2;
  const { asPath, nextHop, med, localPref, aggregator, communities, originatorId, clusterList, extendedCommunities, largeCommunities } =
    attributes;
  put(wellKnown, attributeTypes.origin, (value) => value.u8(originCodes[attributes.origin]));
  put(wellKnown, attributeTypes.asPath, (value) => writeAsPath(value, asPath, octets));
  if (nextHop) put(wellKnown, attributeTypes.nextHop, (value) => value.bytes(addressToBytes(nextHop)));
  if (med !== undefined) put(optional, attributeTypes.med, (value) => value.u32(med));
  if (localPref !== undefined) put(wellKnown, attributeTypes.localPref, (value) => value.u32(localPref));
  if (attributes.atomicAggregate) put(wellKnown, attributeTypes.atomicAggregate, () => undefined);
  if (aggregator) put(optionalTransitive, attributeTypes.aggregator, (value) => writeAggregator(value, aggregator, octets));
  if (communities?.length)
    put(optionalTransitive, attributeTypes.communities, (value) => communities.forEach((community) => value.u32(community)));
  if (originatorId) put(optional, attributeTypes.originatorId, (value) => value.bytes(addressToBytes(originatorId)));
  if (clusterList?.length)
    put(optional, attributeTypes.clusterList, (value) => clusterList.forEach((id) => value.bytes(addressToBytes(id))));
  if (extendedCommunities?.length) {
    put(optionalTransitive, attributeTypes.extendedCommunities, (value) =>
      extendedCommunities.forEach((text) => value.bytes(Buffer.from(text, 'hex'))),
    );
  }
  if (!fourOctetAsn) putFourOctet(put, asPath, aggregator);
  if (largeCommunities?.length) {
    put(optionalTransitive, attributeTypes.largeCommunities, (value) =>
      largeCommunities.forEach(([a, b, c]) => value.u32(a).u32(b).u32(c)),
    );
  }
  for (const { type, flags, value } of attributes.unknown ?? []) put(flags, type, (out) => out.bytes(value));
  return out.finish();
}

/** What a two-octet peer passes on unseen, so that the true numbers arrive at the next four-octet speaker (RFC 6793 section 4.2.2). */
function putFourOctet(
  put: (flags: number, type: number, fill: (value: Writer) => void) => void,
  asPath: AsPath,
  aggregator: PathAttributes['aggregator'],
): void {
  if (asPathAsns(asPath).some((asn) => asn > 0xffff))
    put(optionalTransitive, attributeTypes.as4Path, (value) => writeAsPath(value, asPath, 4));
  if (aggregator && aggregator.asn > 0xffff)
    put(optionalTransitive, attributeTypes.as4Aggregator, (value) => writeAggregator(value, aggregator, 4));
}

function writeAggregator(value: Writer, { asn, address }: { asn: number; address: Address }, octets: 2 | 4): void {
  if (octets === 4) value.u32(asn);
  else value.u16(asn > 0xffff ? asTrans : asn);
  value.bytes(addressToBytes(address));
}

export function encodeMpReach({ family, nextHop, linkLocal, prefixes }: MpReach): Uint8Array {
  const out = new Writer();
  writeAttribute(out, optional, attributeTypes.mpReach, (value) => {
    const hops = [addressToBytes(nextHop), ...(linkLocal ? [addressToBytes(linkLocal)] : [])];
    value
      .u16(afiOf(family))
      .u8(safiUnicast)
      .u8(hops.reduce((sum, hop) => sum + hop.length, 0));
    for (const hop of hops) value.bytes(hop);
    value.u8(0);
    for (const prefix of prefixes) writePrefix(value, prefix);
  });
  return out.finish();
}

export function encodeMpUnreach({ family, prefixes }: MpUnreach): Uint8Array {
  const out = new Writer();
  writeAttribute(out, optional, attributeTypes.mpUnreach, (value) => {
    value.u16(afiOf(family)).u8(safiUnicast);
    for (const prefix of prefixes) writePrefix(value, prefix);
  });
  return out.finish();
}

function writeAttribute(out: Writer, flags: number, type: number, fill: (value: Writer) => unknown): void {
  const value = new Writer();
  fill(value);
  const extended = value.length > 255;
  out.u8(extended ? flags | attributeFlags.extendedLength : flags & ~attributeFlags.extendedLength).u8(type);
  if (extended) out.u16(value.length);
  else out.u8(value.length);
  out.bytes(value.finish());
}
