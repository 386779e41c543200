import { errorCodes } from './constants.ts';
import type { NotificationMessage } from './types.ts';

const names: Readonly<Record<number, readonly [name: string, subcodes: readonly string[]]>> = {
  1: ['Message Header Error', ['Unspecific', 'Connection Not Synchronized', 'Bad Message Length', 'Bad Message Type']],
  2: [
    'OPEN Message Error',
    [
      'Unspecific',
      'Unsupported Version Number',
      'Bad Peer AS',
      'Bad BGP Identifier',
      'Unsupported Optional Parameter',
      '',
      'Unacceptable Hold Time',
      'Unsupported Capability',
    ],
  ],
  3: [
    'UPDATE Message Error',
    [
      'Unspecific',
      'Malformed Attribute List',
      'Unrecognized Well-known Attribute',
      'Missing Well-known Attribute',
      'Attribute Flags Error',
      'Attribute Length Error',
      'Invalid ORIGIN Attribute',
      '',
      'Invalid NEXT_HOP Attribute',
      'Optional Attribute Error',
      'Invalid Network Field',
      'Malformed AS_PATH',
    ],
  ],
  4: ['Hold Timer Expired', []],
  5: [
    'Finite State Machine Error',
    [
      'Unspecified',
      'Unexpected Message in OpenSent State',
      'Unexpected Message in OpenConfirm State',
      'Unexpected Message in Established State',
    ],
  ],
  6: [
    'Cease',
    [
      'Unspecific',
      'Maximum Number of Prefixes Reached',
      'Administrative Shutdown',
      'Peer De-configured',
      'Administrative Reset',
      'Connection Rejected',
      'Other Configuration Change',
      'Connection Collision Resolution',
      'Out of Resources',
      'Hard Reset',
    ],
  ],
  7: ['ROUTE-REFRESH Message Error', ['Unspecific', 'Invalid Message Length']],
  8: ['Send Hold Timer Expired', []],
};

/** `Cease / Administrative Shutdown (6/2): going down for maintenance`, by the names of the IANA registry. */
export function describeNotification({ code, subcode, data }: Pick<NotificationMessage, 'code' | 'subcode' | 'data'>): string {
  const [name, subcodes] = names[code] ?? ['Unknown Error', []];
  const detail = subcodes[subcode];
  const text = detail ? `${name} / ${detail} (${code}/${subcode})` : `${name} (${code}/${subcode})`;
  const message = code === errorCodes.cease && (subcode === 2 || subcode === 4) ? readShutdownMessage(data) : undefined;
  return message ? `${text}: ${message}` : text;
}

/** The text that an operator sent along (RFC 9003): one octet of length, then UTF-8. Control characters are taken out. */
function readShutdownMessage(data: Uint8Array): string | undefined {
  const length = data[0] ?? 0;
  if (length === 0 || data.length < 1 + length) return undefined;
  return new TextDecoder().decode(data.subarray(1, 1 + length)).replaceAll(/\p{Cc}/gu, ' ');
}

/** Data of a Cease for shutdown or reset: the text, cut to 255 octets (RFC 9003). */
export function shutdownMessage(text: string): Uint8Array {
  let bytes = new TextEncoder().encode(text);
  for (let end = text.length; bytes.length > 255; end--) bytes = new TextEncoder().encode(text.slice(0, end));
  return Uint8Array.from([bytes.length, ...bytes]);
}
