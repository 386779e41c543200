import type { StatusCause } from '../objects/index.ts';
import type { FieldValidation } from './decode.ts';
import { isTrue } from './request-info.ts';
import { invalidOptions, type OptionsKind } from './status-errors.ts';

/** Query parameters that every write takes. */
export interface WriteOptions {
  readonly dryRun: boolean;
  readonly fieldValidation: FieldValidation;
  /** Who is to own the fields that are written; '' when the request does not say. */
  readonly fieldManager: string;
  /** Server-side apply takes fields from those who own them. */
  readonly force: boolean;
}

const maxManagerLength = 128;
/** Go's unicode.IsPrint, of spaces only the plain one. */
const unprintable = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;

/**
 * Reads the options of a write; `kind` is what a refusal calls them, `isApply` whether it is a server-side apply.
 * @throws StatusError 422 for values that do not exist.
 */
export function parseWriteOptions(query: URLSearchParams, kind: OptionsKind = 'CreateOptions', isApply = false): WriteOptions {
  const fieldManager = query.get('fieldManager') ?? '';
  const fieldValidation = query.get('fieldValidation') || 'Warn';
  const dryRun = query.getAll('dryRun');
  const causes = [...(kind === 'PatchOptions' ? applyCauses(query, isApply) : []), ...managerCauses(fieldManager), ...dryRunCauses(dryRun)];
  if (fieldValidation !== 'Ignore' && fieldValidation !== 'Warn' && fieldValidation !== 'Strict') {
    causes.push(unsupported('fieldValidation', fieldValidation, ['Ignore', 'Strict', 'Warn']));
  }
  if (causes.length > 0) throw invalidOptions(kind, causes);
  return {
    dryRun: dryRun.length > 0,
    fieldValidation: fieldValidation as FieldValidation,
    fieldManager,
    force: isTrue(query.get('force')),
  };
}

/** Only an apply can be forced, and an apply must say whose it is. */
function applyCauses(query: URLSearchParams, isApply: boolean): StatusCause[] {
  if (!isApply) {
    const message = 'Forbidden: may not be specified for non-apply patch';
    return query.has('force') ? [{ reason: 'FieldValueForbidden', message, field: 'force' }] : [];
  }
  if (query.get('fieldManager')) return [];
  return [{ reason: 'FieldValueRequired', message: 'Required value: is required for apply patch', field: 'fieldManager' }];
}

/**
 * The owner of what is written: the fieldManager of the request, else the first part of its User-Agent, of which only what can be printed counts
 * (the reference's managerOrUserAgent).
 */
export function managerOf({ fieldManager }: WriteOptions, userAgent: string): string {
  if (fieldManager) return fieldManager;
  let manager = '';
  for (const character of userAgent.split('/', 1)[0]!) {
    if (unprintable.test(character)) continue;
    if (Buffer.byteLength(manager + character) > maxManagerLength) break;
    manager += character;
  }
  return manager;
}

/** @throws StatusError 422 for anything but All. */
export function isDryRun(values: readonly string[], kind: OptionsKind): boolean {
  const causes = dryRunCauses(values);
  if (causes.length > 0) throw invalidOptions(kind, causes);
  return values.length > 0;
}

const dryRunCauses = (values: readonly string[]): StatusCause[] =>
  values.every((value) => value === 'All') ? [] : [unsupported('dryRun', values, ['All'])];

function managerCauses(manager: string): StatusCause[] {
  const field = 'fieldManager';
  const causes: StatusCause[] = [];
  if (Buffer.byteLength(manager) > maxManagerLength) {
    causes.push({ reason: 'FieldValueTooLong', message: `Too long: may not be more than ${maxManagerLength} bytes`, field });
  }
  const at = manager.search(/[\p{C}\p{Z}]/u);
  if (at >= 0 && manager[at] !== ' ') {
    const code = manager.codePointAt(at)!.toString(16).toUpperCase().padStart(4, '0');
    const message = `Invalid value: ${JSON.stringify(manager)}: invalid character U+${code} (at position ${at})`;
    causes.push({ reason: 'FieldValueInvalid', message, field });
  }
  return causes;
}

const unsupported = (field: string, value: unknown, values: readonly string[]): StatusCause => ({
  reason: 'FieldValueNotSupported',
  message: `Unsupported value: ${JSON.stringify(value)}: supported values: ${values.map((name) => JSON.stringify(name)).join(', ')}`,
  field,
});
