// Domain names. A name is its uncompressed wire form (RFC 1035 section 3.1), final zero byte included, so that any byte may stand in a label.

const maxNameLength = 255;
const maxLabelLength = 63;

/** A message that breaks the rules of the wire format. */
export class FormatError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'FormatError';
  }
}

/** ASCII A-Z to a-z, all else as it is (RFC 4343). A length byte is at most 63 and so never mistaken for a letter. */
const lowerCase: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte));
const scratch = Buffer.alloc(maxNameLength);

/** The key by which names are compared: wire bytes in lower case, one character a byte. Takes `wire[start..end)`. */
export function nameKey(wire: Uint8Array, start = 0, end = wire.length): string {
  for (let i = start; i < end; i++) scratch[i - start] = lowerCase[wire[i]!]!;
  return scratch.toString('latin1', 0, end - start);
}

/**
 * The wire form of a name in text: labels joined by dots, `\.`, `\\` and `\DDD` as in RFC 1035 section 5.1, a final dot allowed.
 * @throws FormatError naming the text, for an empty or overlong label or name.
 */
export function nameFromText(text: string): Uint8Array {
  const fail = (reason: string): never => {
    throw new FormatError(`${JSON.stringify(text.slice(0, 300))} is not a domain name: ${reason}`);
  };
  const labels: number[][] = [];
  let label: number[] = [];
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!;
    if (character === '.') {
      labels.push(label);
      label = [];
    } else if (character === '\\') {
      const digits = /^\d{3}/.exec(text.slice(i + 1))?.[0];
      const byte = digits === undefined ? text.charCodeAt(i + 1) : Number(digits);
      if (!(byte <= 255)) fail('bad escape');
      label.push(byte);
      i += digits === undefined ? 1 : 3;
    } else {
      const code = text.charCodeAt(i);
      if (code > 0x7f) fail('characters outside ASCII must be escaped');
      label.push(code);
    }
  }
  if (label.length > 0) labels.push(label);
  if (text === '.') labels.length = 0;
  const bytes: number[] = [];
  for (const each of labels) {
    if (each.length === 0) fail('empty label');
    if (each.length > maxLabelLength) fail('label longer than 63 bytes');
    bytes.push(each.length, ...each);
  }
  bytes.push(0);
  if (bytes.length > maxNameLength) fail('longer than 255 bytes');
  return Uint8Array.from(bytes);
}

/** The name in text without a final dot (the root is `.`); bytes that are not plain come escaped. */
export function nameToText(wire: Uint8Array): string {
  const labels: string[] = [];
  for (let at = 0; wire[at]; at += wire[at]! + 1) {
    let label = '';
    for (const byte of wire.subarray(at + 1, at + 1 + wire[at]!)) {
      if (byte === 0x2e || byte === 0x5c) label += `\\${String.fromCharCode(byte)}`;
      else label += byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\${String(byte).padStart(3, '0')}`;
    }
    labels.push(label);
  }
  return labels.join('.') || '.';
}

/** The name of `labels` (plain text, no escapes) under `parent`. @throws FormatError when it gets too long. */
export function prependLabels(labels: readonly string[], parent: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const label of labels) {
    const bytes = Buffer.from(label, 'latin1');
    if (bytes.length === 0 || bytes.length > maxLabelLength)
      throw new FormatError(`${JSON.stringify(label)} is not a label of 1 to 63 bytes`);
    parts.push(Uint8Array.of(bytes.length), bytes);
  }
  const wire = Buffer.concat([...parts, parent]);
  if (wire.length > maxNameLength) throw new FormatError(`${JSON.stringify(nameToText(wire))} is longer than 255 bytes`);
  return wire;
}

/** How many labels the name has; the root has none. */
export function countLabels(wire: Uint8Array): number {
  let count = 0;
  for (let at = 0; wire[at]; at += wire[at]! + 1) count++;
  return count;
}

/**
 * Reads a name that may be compressed (RFC 1035 section 4.1.4). `next` is the offset after it in the message.
 * Every pointer must lead to before the labels that hold it, so that reading ends.
 * @throws FormatError for a label type other than 0 and 3, a pointer forwards, a name cut off or over 255 bytes.
 */
export function readName(message: Uint8Array, offset: number): { readonly wire: Uint8Array; readonly next: number } {
  const pieces: Uint8Array[] = [];
  let length = 0;
  let at = offset;
  let segment = offset;
  let next = -1;
  for (;;) {
    const size = message[at];
    if (size === undefined) throw new FormatError('a name runs past the end of the message');
    if (size === 0) break;
    if (size >= 0xc0) {
      const low = message[at + 1];
      if (low === undefined) throw new FormatError('a name runs past the end of the message');
      const target = ((size & 0x3f) << 8) | low;
      if (target >= segment) throw new FormatError('a compression pointer does not point backwards');
      if (next < 0) next = at + 2;
      at = target;
      segment = target;
      continue;
    }
    if (size > maxLabelLength) throw new FormatError('a label of a reserved type');
    const end = at + 1 + size;
    if (end > message.length) throw new FormatError('a name runs past the end of the message');
    length += size + 1;
    if (length >= maxNameLength) throw new FormatError('a name is longer than 255 bytes');
    pieces.push(message.subarray(at, end));
    at = end;
  }
  if (next < 0) next = at + 1;
  return { wire: Buffer.concat([...pieces, Uint8Array.of(0)], length + 1), next };
}
