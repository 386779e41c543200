import { addressFromValue } from '../../net/index.ts';
import { readCapabilities, encodeCapability } from './capabilities.ts';
import { errorCodes, openErrors } from './constants.ts';
import { BgpMessageError, TruncatedError } from './error.ts';
import { Reader } from './reader.ts';
import type { Capability, OpenMessage } from './types.ts';
import { Writer } from './writer.ts';

const capabilitiesParameter = 2;

/**
 * Reads the body of an OPEN (RFC 4271 section 4.2). Whether its values are acceptable is the session's business.
 * @throws BgpMessageError 2/0 when the optional parameters do not fit, 2/4 for a parameter other than Capabilities.
 */
export function decodeOpen(body: Uint8Array): OpenMessage {
  try {
    const reader = new Reader(body);
    const version = reader.u8();
    const asn = reader.u16();
    const holdTime = reader.u16();
    const routerId = addressFromValue(4, BigInt(reader.u32()));
    const parameters = reader.sub(reader.u8());
    if (reader.remaining > 0) throw new TruncatedError();
    return { type: 'open', version, asn, holdTime, routerId, capabilities: readParameters(parameters) };
  } catch (error) {
    if (error instanceof TruncatedError)
      throw new BgpMessageError(errorCodes.open, openErrors.unspecific, 'OPEN: optional parameters do not fit their length');
    throw error;
  }
}

function readParameters(reader: Reader): Capability[] {
  const capabilities: Capability[] = [];
  while (reader.remaining > 0) {
    const type = reader.u8();
    const value = reader.sub(reader.u8());
    if (type !== capabilitiesParameter) {
      throw new BgpMessageError(errorCodes.open, openErrors.unsupportedParameter, `OPEN: optional parameter ${type} is not supported`);
    }
    capabilities.push(...readCapabilities(value));
  }
  return capabilities;
}

/** Body of an OPEN; each capability in a parameter of its own, which every speaker understands. @throws RangeError over 255 octets of parameters. */
export function encodeOpen(open: OpenMessage): Uint8Array {
  const parameters = new Writer();
  for (const capability of open.capabilities) {
    const bytes = encodeCapability(capability);
    parameters.u8(capabilitiesParameter).u8(bytes.length).bytes(bytes);
  }
  if (parameters.length > 255) throw new RangeError('OPEN: capabilities take more than 255 octets');
  return new Writer()
    .u8(open.version)
    .u16(open.asn)
    .u16(open.holdTime)
    .u32(Number(open.routerId.value))
    .u8(parameters.length)
    .bytes(parameters.finish())
    .finish();
}
