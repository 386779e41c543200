import { addressFromBytes, type Family } from '../../net/index.ts';
import { mergeAs4Path } from './as-path.ts';
import { type AttributeCodec, attributeCodecs, type AttributeDraft, AttributeError, isHostAddress } from './attribute-codecs.ts';
import { asTrans, attributeFlags, attributeTypes, errorCodes, familyOfAfi, safiUnicast, updateErrors } from './constants.ts';
import { BgpMessageError, TruncatedError } from './error.ts';
import { readPrefixes } from './nlri.ts';
import { Reader } from './reader.ts';
import type { MpReach, MpUnreach, PathAttributes, UnknownAttribute, UpdateFinding, WireContext } from './types.ts';

export interface DecodedAttributes {
  readonly draft: AttributeDraft;
  readonly mpReach?: MpReach;
  readonly mpUnreach?: MpUnreach;
  readonly findings: readonly UpdateFinding[];
}

interface RawAttribute {
  readonly flags: number;
  readonly type: number;
  readonly value: Uint8Array;
}

/**
 * Reads the Path Attributes field and sorts out what is malformed in it, by RFC 7606: each fault ends in a finding (`discard` or `withdraw`).
 * @throws BgpMessageError for what the RFC leaves to a session reset: MP attributes that are repeated or whose prefixes cannot be read, and a
 * well-known attribute that we do not know.
 */
export function decodeAttributes(bytes: Uint8Array, context: WireContext): DecodedAttributes {
  const findings: UpdateFinding[] = [];
  const draft: AttributeDraft = {};
  const unknown: UnknownAttribute[] = [];
  const seen = new Set<number>();
  let mpReach: MpReach | undefined;
  let mpUnreach: MpUnreach | undefined;
  for (const raw of readFrames(bytes, findings)) {
    if (seen.has(raw.type)) {
      if (raw.type === attributeTypes.mpReach || raw.type === attributeTypes.mpUnreach)
        throw malformedList(`attribute ${raw.type} appears twice`);
      findings.push({ action: 'discard', attribute: raw.type, reason: 'appears twice; the first one counts' });
      continue;
    }
    seen.add(raw.type);
    if (raw.type === attributeTypes.mpReach) mpReach = readMpReach(raw, findings);
    else if (raw.type === attributeTypes.mpUnreach) mpUnreach = readMpUnreach(raw, findings);
    else {
      const codec = attributeCodecs.get(raw.type);
      if (codec) readKnown(codec, raw, draft, context, findings);
      else keepUnknown(raw, unknown);
    }
  }
  if (unknown.length > 0) draft.unknown = unknown;
  if (!context.fourOctetAsn) mergeFourOctet(draft);
  return { draft, findings, ...(mpReach ? { mpReach } : {}), ...(mpUnreach ? { mpUnreach } : {}) };
}

/** Splits the field into attributes. A length that does not fit ends the list and withdraws the routes (RFC 7606 section 4). */
function readFrames(bytes: Uint8Array, findings: UpdateFinding[]): RawAttribute[] {
  const reader = new Reader(bytes);
  const frames: RawAttribute[] = [];
  try {
    while (reader.remaining > 0) {
      const flags = reader.u8();
      const type = reader.u8();
      const length = flags & attributeFlags.extendedLength ? reader.u16() : reader.u8();
      frames.push({ flags, type, value: reader.bytes(length) });
    }
  } catch (error) {
    if (!(error instanceof TruncatedError)) throw error;
    findings.push({ action: 'withdraw', attribute: 0, reason: 'an attribute runs past the total path attribute length' });
  }
  return frames;
}

const categoryBits = {
  'well-known': attributeFlags.transitive,
  'optional-transitive': 0xc0,
  'optional-nontransitive': attributeFlags.optional,
} as const;

function readKnown(codec: AttributeCodec, raw: RawAttribute, draft: AttributeDraft, context: WireContext, findings: UpdateFinding[]): void {
  const finding = (action: 'discard' | 'withdraw', reason: string): void =>
    void findings.push({ action, attribute: raw.type, reason: `${codec.name} ${reason}` });
  if ((raw.flags & 0xc0) !== categoryBits[codec.category]) return finding('withdraw', `has flags 0x${raw.flags.toString(16)}`);
  try {
    codec.read(raw.value, draft, context);
  } catch (error) {
    if (error instanceof AttributeError) finding(error.action, error.message);
    else if (error instanceof TruncatedError) finding(codec.malformed, 'does not fit its length');
    else throw error;
  }
}

/** Optional transitive attributes are passed on with the Partial bit set; optional non-transitive ones end here (RFC 4271 section 5). */
function keepUnknown({ flags, type, value }: RawAttribute, unknown: UnknownAttribute[]): void {
  if (!(flags & attributeFlags.optional)) {
    throw new BgpMessageError(
      errorCodes.update,
      updateErrors.unrecognizedWellKnown,
      `well-known attribute ${type} is not known`,
      frame({ flags, type, value }),
    );
  }
  if (flags & attributeFlags.transitive) unknown.push({ type, flags: (flags & 0xc0) | attributeFlags.partial, value: value.slice() });
}

function frame({ flags, type, value }: RawAttribute): Uint8Array {
  const extended = value.length > 255;
  const head = extended
    ? [flags | attributeFlags.extendedLength, type, value.length >> 8, value.length & 0xff]
    : [flags & 0xef, type, value.length];
  return Uint8Array.from([...head, ...value]);
}

/** Undefined, with a finding, for a family that we do not speak. */
function readFamily(reader: Reader, attribute: number, findings: UpdateFinding[]): Family | undefined {
  const afi = reader.u16();
  const safi = reader.u8();
  const family = safi === safiUnicast ? familyOfAfi(afi) : undefined;
  if (family === undefined) findings.push({ action: 'discard', attribute, reason: `address family ${afi}/${safi} was not negotiated` });
  return family;
}

function readMpReach(raw: RawAttribute, findings: UpdateFinding[]): MpReach | undefined {
  return orReset(raw, 'MP_REACH_NLRI', () => {
    const reader = new Reader(raw.value);
    const family = readFamily(reader, raw.type, findings);
    const hops = reader.bytes(reader.u8());
    reader.u8();
    if (family === undefined) return undefined;
    const octets = family === 4 ? 4 : 16;
    if (hops.length !== octets && !(family === 6 && hops.length === 32)) throw new TruncatedError();
    const nextHop = addressFromBytes(hops.subarray(0, octets));
    const prefixes = readPrefixes(reader, family);
    if (!isHostAddress(nextHop))
      findings.push({ action: 'withdraw', attribute: raw.type, reason: `next hop ${nextHop.text} is not a host address` });
    return { family, nextHop, prefixes, ...(hops.length === 32 ? { linkLocal: addressFromBytes(hops.subarray(16)) } : {}) };
  });
}

function readMpUnreach(raw: RawAttribute, findings: UpdateFinding[]): MpUnreach | undefined {
  return orReset(raw, 'MP_UNREACH_NLRI', () => {
    const reader = new Reader(raw.value);
    const family = readFamily(reader, raw.type, findings);
    return family === undefined ? undefined : { family, prefixes: readPrefixes(reader, family) };
  });
}

/** When its prefixes cannot be read there is nothing to withdraw: RFC 7606 section 5.3 leaves only the reset. */
function orReset<T>(raw: RawAttribute, name: string, read: () => T): T {
  const fail = (subcode: number, reason: string): never => {
    throw new BgpMessageError(errorCodes.update, subcode, `${name} ${reason}`, frame(raw));
  };
  if ((raw.flags & 0xc0) !== attributeFlags.optional) fail(updateErrors.attributeFlags, `has flags 0x${raw.flags.toString(16)}`);
  try {
    return read();
  } catch (error) {
    if (error instanceof TruncatedError) return fail(updateErrors.optionalAttribute, 'cannot be read');
    throw error;
  }
}

/** RFC 6793 section 4.2.3. */
function mergeFourOctet(draft: AttributeDraft): void {
  if (draft.aggregator && draft.aggregator.asn !== asTrans) return;
  if (draft.aggregator && draft.as4Aggregator) draft.aggregator = draft.as4Aggregator;
  if (draft.asPath && draft.as4Path) draft.asPath = mergeAs4Path(draft.asPath, draft.as4Path);
}

/** The draft as attributes of a route; undefined with the names of what is missing when a mandatory one is (RFC 4271 section 5). */
export function completeAttributes(draft: AttributeDraft, needsNextHop: boolean, internal: boolean): PathAttributes | { missing: string } {
  const { as4Path: _path, as4Aggregator: _aggregator, ...attributes } = draft;
  const { origin, asPath } = attributes;
  if (origin === undefined) return { missing: 'ORIGIN' };
  if (asPath === undefined) return { missing: 'AS_PATH' };
  if (needsNextHop && attributes.nextHop === undefined) return { missing: 'NEXT_HOP' };
  if (internal && attributes.localPref === undefined) return { missing: 'LOCAL_PREF' };
  return { ...attributes, origin, asPath };
}

export const malformedList = (reason: string): BgpMessageError =>
  new BgpMessageError(errorCodes.update, updateErrors.malformedAttributeList, `UPDATE: ${reason}`);
