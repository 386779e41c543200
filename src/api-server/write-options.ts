import type { FieldValidation } from './decode.ts';
import { badRequest, invalid } from './status-errors.ts';

/** Query parameters that every write takes. */
export interface WriteOptions {
  readonly dryRun: boolean;
  readonly fieldValidation: FieldValidation;
}

/** @throws StatusError 422 for values that do not exist. */
export function parseWriteOptions(query: URLSearchParams): WriteOptions {
  const fieldValidation = query.get('fieldValidation') || 'Warn';
  if (fieldValidation !== 'Ignore' && fieldValidation !== 'Warn' && fieldValidation !== 'Strict') {
    throw unsupported('fieldValidation', fieldValidation, ['Ignore', 'Strict', 'Warn']);
  }
  const manager = query.get('fieldManager') ?? '';
  if (manager.length > 128) throw badRequest('fieldManager must not be longer than 128 characters');
  return { dryRun: isDryRun(query.getAll('dryRun')), fieldValidation };
}

/** @throws StatusError 422 for anything but All. */
export function isDryRun(values: readonly string[]): boolean {
  const wrong = values.find((value) => value !== 'All');
  if (wrong !== undefined) throw unsupported('dryRun', wrong, ['All']);
  return values.length > 0;
}

const unsupported = (field: string, value: string, values: readonly string[]) =>
  invalid({ resource: { group: 'meta.k8s.io', version: 'v1', plural: '', kind: 'WriteOptions', namespaced: false } }, '', [
    {
      reason: 'FieldValueNotSupported',
      message: `Unsupported value: ${JSON.stringify(value)}: supported values: ${values.map((name) => JSON.stringify(name)).join(', ')}`,
      field,
    },
  ]);
