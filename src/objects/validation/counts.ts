// Rules for amounts that are a count or a percentage, such as maxUnavailable.
import type { StatusCause } from '../types/index.ts';
import { invalid } from './causes.ts';
import { negativeText } from './names.ts';

const percentText =
  "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";

/** A count of zero or more, or a percentage such as `25%`. */
export function validateCountOrPercent(value: unknown, field: string): StatusCause[] {
  if (typeof value === 'number') return value < 0 ? [invalid(field, value, negativeText)] : [];
  const text = String(value);
  return /^\d+%$/.test(text) ? [] : [invalid(field, text, percentText)];
}

/** A percentage of a hundred at most; counts pass. */
export const validateAtMostAll = (value: unknown, field: string): StatusCause[] =>
  /^\d+%$/.test(String(value)) && Number.parseInt(String(value), 10) > 100 ? [invalid(field, value, 'must not be greater than 100%')] : [];

export const isZeroCount = (value: unknown): boolean => value === undefined || /^0+%?$/.test(String(value));
