import { CniError, cniErrorCodes } from './errors.ts';

/** Strict reading of untrusted JSON: every wrong type is error 7, naming the key and the value. */
export type Fields = Readonly<Record<string, unknown>>;

export function invalid(key: string, value: unknown, reason: string): CniError {
  const shown = JSON.stringify(value) ?? 'undefined';
  return new CniError(cniErrorCodes.invalidConfig, `${key}: ${shown.length > 120 ? `${shown.slice(0, 120)}...` : shown} ${reason}`);
}

export function objectField(fields: Fields, key: string, path = key): Fields | undefined {
  const value = fields[key];
  if (value === undefined || value === null) return undefined;
  return asObject(value, path);
}

export function asObject(value: unknown, path: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(path, value, 'is not an object');
  return value as Fields;
}

export function listField(fields: Fields, key: string, path = key, limit = 1_000): readonly unknown[] {
  const value = fields[key];
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw invalid(path, value, 'is not a list');
  if (value.length > limit) throw invalid(path, value.length, `entries are more than ${limit}`);
  return value;
}

export function textField(fields: Fields, key: string, path = key): string | undefined {
  const value = fields[key];
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value !== 'string') throw invalid(path, value, 'is not a string');
  return value;
}

export function flagField(fields: Fields, key: string): boolean {
  const value = fields[key];
  if (value === undefined || value === null) return false;
  if (typeof value !== 'boolean') throw invalid(key, value, 'is not true or false');
  return value;
}

export function numberField(fields: Fields, key: string, { min, max }: { min: number; max: number }, path = key): number | undefined {
  const value = fields[key];
  if (value === undefined || value === null) return undefined;
  if (!Number.isInteger(value) || (value as number) < min || (value as number) > max)
    throw invalid(path, value, `is not a whole number from ${min} to ${max}`);
  return value as number;
}

export function textListField(fields: Fields, key: string, path = key): string[] {
  return listField(fields, key, path, 100).map((value, index) => {
    if (typeof value !== 'string') throw invalid(`${path}[${index}]`, value, 'is not a string');
    return value;
  });
}

/** The object without the keys whose value is undefined. */
export const defined = <T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> };
