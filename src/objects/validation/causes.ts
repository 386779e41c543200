import type { StatusCause } from '../types/index.ts';

// Builders of StatusCause with the wording of apimachinery's util/validation/field. `field` is a path such as `spec.ports[0].name`.

const show = (value: unknown): string => (typeof value === 'string' ? goQuote(value) : (JSON.stringify(value) ?? 'null'));

const goEscapes: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
};

/** A text as Go's %q writes it, where it differs from JSON: what cannot be printed. */
const goQuote = (text: string): string =>
  `"${text.replace(/["\\]|[\p{C}\p{Zl}\p{Zp}]/gu, (character) => {
    if (character === '"' || character === '\\') return `\\${character}`;
    const code = character.codePointAt(0)!;
    const hex = (length: number): string => code.toString(16).padStart(length, '0');
    return goEscapes[character] ?? (code < 0x80 ? `\\x${hex(2)}` : code > 0xffff ? `\\U${hex(8)}` : `\\u${hex(4)}`);
  })}"`;

export const required = (field: string, detail = ''): StatusCause => ({
  reason: 'FieldValueRequired',
  message: detail ? `Required value: ${detail}` : 'Required value',
  field,
});

export const invalid = (field: string, value: unknown, detail: string): StatusCause => ({
  reason: 'FieldValueInvalid',
  message: `Invalid value: ${show(value)}: ${detail}`,
  field,
});

/** `supported` in the order in which they are told; the reference sorts some and not others. */
export const notSupported = (field: string, value: unknown, supported: Iterable<string>): StatusCause => ({
  reason: 'FieldValueNotSupported',
  message: `Unsupported value: ${show(value)}: supported values: ${[...supported].map(show).join(', ')}`,
  field,
});

export const forbidden = (field: string, detail: string): StatusCause => ({
  reason: 'FieldValueForbidden',
  message: `Forbidden: ${detail}`,
  field,
});

export const duplicate = (field: string, value: unknown): StatusCause => ({
  reason: 'FieldValueDuplicate',
  message: `Duplicate value: ${show(value)}`,
  field,
});

export const tooLong = (field: string, bytes: number): StatusCause => ({
  reason: 'FieldValueTooLong',
  message: `Too long: may not be more than ${bytes} bytes`,
  field,
});

export const tooMany = (field: string, actual: number, most: number): StatusCause => ({
  reason: 'FieldValueTooMany',
  message: `Too many: ${actual}: must have at most ${most} items`,
  field,
});

/** Causes with the same text for each message. */
export const invalids = (field: string, value: unknown, details: readonly string[]): StatusCause[] =>
  details.map((detail) => invalid(field, value, detail));

/** The tail of a Status message: `field: text`, or `[field: text, field: text]` for several. */
export function describeCauses(causes: readonly StatusCause[]): string {
  // Said twice by two rules, it is told once.
  const texts = [...new Set(causes.map(({ field, message }) => `${field}: ${message}`))];
  return texts.length === 1 ? texts[0]! : `[${texts.join(', ')}]`;
}
