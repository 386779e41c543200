import { completeAttributes, decodeAttributes, malformedList } from './attributes.ts';
import { encodeAttributes, encodeMpReach, encodeMpUnreach } from './attributes-encode.ts';
import { errorCodes, updateErrors } from './constants.ts';
import { BgpMessageError, TruncatedError } from './error.ts';
import { readPrefixes, writePrefix } from './nlri.ts';
import { Reader } from './reader.ts';
import type { UpdateFinding, UpdateMessage, WireContext } from './types.ts';
import { Writer } from './writer.ts';

/**
 * Reads the body of an UPDATE (RFC 4271 section 4.3, RFC 4760). A malformed attribute does not end the session but shows in `findings`; when it says
 * `withdraw`, the routes of the message are among the withdrawn ones (RFC 7606 section 2).
 * @throws BgpMessageError 3/x when nothing less than a session reset will do.
 */
export function decodeUpdate(body: Uint8Array, context: WireContext): UpdateMessage {
  const { withdrawn, attributeBytes, nlri } = readFields(body);
  const { draft, mpReach, mpUnreach, findings: found } = decodeAttributes(attributeBytes, context);
  const findings: UpdateFinding[] = [...found];
  const announces = nlri.length > 0 || (mpReach !== undefined && mpReach.prefixes.length > 0);
  const unreach = mpUnreach ? { mpUnreach } : {};
  if (!announces) {
    // Without routes to withdraw, a fault stronger than a discard leaves only the reset (RFC 7606 section 5.2).
    const fault = findings.find(({ action }) => action === 'withdraw');
    if (fault) throw malformedList(`${fault.reason}, and no route is announced`);
    if (mpReach || Object.keys(draft).length > 0)
      findings.push({ action: 'discard', attribute: 0, reason: 'path attributes without routes' });
    return { type: 'update', withdrawn, nlri: [], findings, ...unreach };
  }
  const attributes = completeAttributes(draft, nlri.length > 0, context.internal);
  if ('missing' in attributes) findings.push({ action: 'withdraw', attribute: 0, reason: `${attributes.missing} is missing` });
  if ('missing' in attributes || findings.some(({ action }) => action === 'withdraw')) {
    const alsoUnreach = mpReach
      ? { mpUnreach: { family: mpReach.family, prefixes: [...mpReach.prefixes, ...sameFamily(mpUnreach, mpReach.family)] } }
      : unreach;
    return { type: 'update', withdrawn: [...withdrawn, ...nlri], nlri: [], findings, ...alsoUnreach };
  }
  return { type: 'update', withdrawn, nlri, attributes, findings, ...(mpReach ? { mpReach } : {}), ...unreach };
}

function sameFamily(unreach: UpdateMessage['mpUnreach'], family: number): NonNullable<UpdateMessage['mpUnreach']>['prefixes'] {
  return unreach?.family === family ? unreach.prefixes : [];
}

function readFields(body: Uint8Array): { withdrawn: UpdateMessage['withdrawn']; attributeBytes: Uint8Array; nlri: UpdateMessage['nlri'] } {
  let withdrawnField: Reader;
  let attributeBytes: Uint8Array;
  let nlriField: Reader;
  try {
    const reader = new Reader(body);
    withdrawnField = reader.sub(reader.u16());
    attributeBytes = reader.bytes(reader.u16());
    nlriField = reader.sub(reader.remaining);
  } catch (error) {
    if (error instanceof TruncatedError) throw malformedList('a length field runs past the message');
    throw error;
  }
  return { withdrawn: readField(withdrawnField, 'Withdrawn Routes'), attributeBytes, nlri: readField(nlriField, 'NLRI') };
}

function readField(reader: Reader, name: string): UpdateMessage['nlri'] {
  try {
    return readPrefixes(reader, 4);
  } catch (error) {
    if (error instanceof TruncatedError)
      throw new BgpMessageError(errorCodes.update, updateErrors.invalidNetwork, `UPDATE: ${name} cannot be read`);
    throw error;
  }
}

/** Body of an UPDATE. Splitting what is too long for one message is `packUpdates`' business. */
export function encodeUpdate(update: UpdateMessage, context: Pick<WireContext, 'fourOctetAsn'>): Uint8Array {
  const withdrawn = new Writer();
  for (const prefix of update.withdrawn) writePrefix(withdrawn, prefix);
  const attributes = new Writer();
  // MP attributes first: a receiver can then withdraw the routes of a message whose later attributes are broken (RFC 7606 section 5.1).
  if (update.mpUnreach) attributes.bytes(encodeMpUnreach(update.mpUnreach));
  if (update.mpReach) attributes.bytes(encodeMpReach(update.mpReach));
  if (update.attributes) attributes.bytes(encodeAttributes(update.attributes, context));
  const out = new Writer().u16(withdrawn.length).bytes(withdrawn.finish()).u16(attributes.length).bytes(attributes.finish());
  for (const prefix of update.nlri) writePrefix(out, prefix);
  return out.finish();
}
