import type { StatusCause } from '../types/index.ts';

// Builders of StatusCause with the wording of apimachinery's util/validation/field. `field` is a path such as `spec.ports[0].name`.

const show = (value: unknown): string => JSON.stringify(value) ?? 'null';

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

export const notSupported = (field: string, value: unknown, supported: Iterable<string>): StatusCause => ({
  reason: 'FieldValueNotSupported',
  message: `Unsupported value: ${show(value)}: supported values: ${[...supported].toSorted().map(show).join(', ')}`,
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
  const texts = causes.map(({ field, message }) => `${field}: ${message}`);
  return texts.length === 1 ? texts[0]! : `[${texts.join(', ')}]`;
}
