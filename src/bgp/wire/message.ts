import { errorCodes, headerErrors, headerLength, maxMessageLength, messageTypes } from './constants.ts';
import { BgpMessageError } from './error.ts';
import { decodeOpen, encodeOpen } from './open.ts';
import { Reader } from './reader.ts';
import type { BgpMessage, WireContext } from './types.ts';
import { decodeUpdate, encodeUpdate } from './update.ts';
import { u16Bytes, Writer } from './writer.ts';

/** The shortest message of each type, header included (RFC 4271 section 4.1); KEEPALIVE and ROUTE-REFRESH have exactly that length. */
const shortest: Readonly<Record<number, number>> = { 1: 29, 2: 23, 3: 21, 4: 19, 5: 23 };
const exact = new Set<number>([messageTypes.keepalive, messageTypes['route-refresh']]);

/**
 * Checks a message header (RFC 4271 section 6.1) and gives the length of the whole message.
 * @throws BgpMessageError 1/1, 1/2 or 1/3.
 */
export function readHeader(bytes: Uint8Array): { length: number; type: number } {
  for (let index = 0; index < 16; index++) {
    if (bytes[index] !== 0xff)
      throw new BgpMessageError(errorCodes.header, headerErrors.notSynchronized, 'header: the marker is not all ones');
  }
  const reader = new Reader(bytes.subarray(16, headerLength));
  const length = reader.u16();
  const type = reader.u8();
  const minimum = shortest[type];
  if (minimum === undefined) {
    if (length >= headerLength && length <= maxMessageLength) {
      throw new BgpMessageError(errorCodes.header, headerErrors.badType, `header: message type ${type} is not known`, Uint8Array.of(type));
    }
  } else if (length >= minimum && length <= maxMessageLength && (!exact.has(type) || length === minimum)) return { length, type };
  throw new BgpMessageError(
    errorCodes.header,
    headerErrors.badLength,
    `header: length ${length} does not suit message type ${type}`,
    u16Bytes(length),
  );
}

/** Reads one whole message, header included. @throws BgpMessageError with what to answer. */
export function decodeMessage(bytes: Uint8Array, context: WireContext): BgpMessage {
  if (bytes.length < headerLength)
    throw new BgpMessageError(errorCodes.header, headerErrors.badLength, 'header: cut short', u16Bytes(bytes.length));
  const { length, type } = readHeader(bytes);
  if (length !== bytes.length)
    throw new BgpMessageError(errorCodes.header, headerErrors.badLength, 'header: length is not that of the message', u16Bytes(length));
  const body = bytes.subarray(headerLength);
  switch (type) {
    case messageTypes.open:
      return decodeOpen(body);
    case messageTypes.update:
      return decodeUpdate(body, context);
    case messageTypes.notification:
      return { type: 'notification', code: body[0]!, subcode: body[1]!, data: body.slice(2) };
    case messageTypes.keepalive:
      return { type: 'keepalive' };
    default: {
      const reader = new Reader(body);
      return { type: 'route-refresh', afi: reader.u16(), subtype: reader.u8(), safi: reader.u8() };
    }
  }
}

/** The whole message. @throws RangeError when it is longer than 4096 octets. */
export function encodeMessage(message: BgpMessage, context: Pick<WireContext, 'fourOctetAsn'> = { fourOctetAsn: true }): Uint8Array {
  const body = encodeBody(message, context);
  const length = headerLength + body.length;
  if (length > maxMessageLength) throw new RangeError(`a ${message.type} message of ${length} octets is over ${maxMessageLength}`);
  return new Writer().bytes(new Uint8Array(16).fill(0xff)).u16(length).u8(messageTypes[message.type]).bytes(body).finish();
}

function encodeBody(message: BgpMessage, context: Pick<WireContext, 'fourOctetAsn'>): Uint8Array {
  switch (message.type) {
    case 'open':
      return encodeOpen(message);
    case 'update':
      return encodeUpdate(message, context);
    case 'notification':
      return new Writer().u8(message.code).u8(message.subcode).bytes(message.data).finish();
    case 'keepalive':
      return new Uint8Array();
    case 'route-refresh':
      return new Writer().u16(message.afi).u8(message.subtype).u8(message.safi).finish();
  }
}
