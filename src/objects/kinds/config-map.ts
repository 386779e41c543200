import { goJsonProblem } from '../go-json.ts';
import type { AnyObject } from '../kind.ts';
import { isDeepStrictEqual } from 'node:util';
import { ageColumn, column, nameColumn } from '../print/columns.ts';
import { resources } from '../resource.ts';
import type { StatusCause } from '../types/index.ts';
import { forbidden, invalid, invalids, required, tooLong } from '../validation/causes.ts';
import { immutable } from '../validation/metadata.ts';
import { configMapKey } from '../validation/names.ts';
import { declareKind } from './declare.ts';

/** All values together (the reference's MaxSecretSize, for ConfigMaps too). */
const most = 1024 * 1024;

export const configMapKind = declareKind({
  resource: resources.configMaps,
  shortNames: ['cm'],
  validate: (map, old) => [...validateData(map, ['data', 'binaryData']), ...(old ? validateFrozen(map, old, ['data', 'binaryData']) : [])],
  columns: [nameColumn, column('Data', 'Number of keys.', (map) => keys(map['data']).length + keys(map['binaryData']).length), ageColumn],
});

export const secretKind = declareKind({
  resource: resources.secrets,
  defaults(secret) {
    secret['type'] ??= 'Opaque';
    // stringData is write-only: plain text that replaces keys of data.
    const plain: Record<string, string> = secret['stringData'] ?? {};
    if (keys(plain).length > 0) {
      secret['data'] = {
        ...secret['data'],
        ...Object.fromEntries(Object.entries(plain).map(([key, value]) => [key, Buffer.from(value).toString('base64')])),
      };
    }
    delete secret['stringData'];
  },
  validate: (secret, old) => [
    ...validateData(secret, ['data']),
    ...validateSecretType(secret),
    ...(old ? [...immutable('type', secret['type'], old['type']), ...validateFrozen(secret, old, ['data'])] : []),
  ],
  columns: [
    nameColumn,
    column('Type', 'What the secret is for.', (secret) => secret['type'] ?? ''),
    column('Data', 'Number of keys.', (secret) => keys(secret['data']).length),
    ageColumn,
  ],
  selectable: { type: (secret) => secret['type'] },
});

const keys = (map: object | undefined): string[] => Object.keys(map ?? {});

function validateData(object: AnyObject, fields: readonly string[]): StatusCause[] {
  const causes: StatusCause[] = [];
  let bytes = 0;
  for (const field of fields) {
    for (const [key, value] of Object.entries((object[field] ?? {}) as Record<string, string>)) {
      causes.push(...invalids(`${field}[${key}]`, key, configMapKey(key)));
      if (field === 'data' && fields.includes('binaryData') && Object.hasOwn(object['binaryData'] ?? {}, key)) {
        causes.push(invalid(`${field}[${key}]`, key, 'duplicate of key present in binaryData'));
      }
      bytes += Buffer.byteLength(value);
    }
  }
  if (bytes > most) causes.push(tooLong(fields.length > 1 ? '[]' : 'data', most));
  return causes;
}

function validateFrozen(object: AnyObject, old: AnyObject, fields: readonly string[]): StatusCause[] {
  if (!old['immutable']) return [];
  const causes: StatusCause[] = [];
  const text = 'field is immutable when `immutable` is set';
  if (object['immutable'] !== true) causes.push(forbidden('immutable', text));
  for (const field of fields) if (!isDeepStrictEqual(object[field] ?? {}, old[field] ?? {})) causes.push(forbidden(field, text));
  return causes;
}

const tokenType = 'kubernetes.io/service-account-token';
const accountName = 'kubernetes.io/service-account.name';
const redacted = '<secret contents redacted>';

/** The rules of the types of secrets that Kubernetes knows. Other types have none. */
function validateSecretType({ type, data = {}, metadata }: AnyObject): StatusCause[] {
  switch (type) {
    case tokenType:
      return metadata.annotations?.[accountName] ? [] : [required(`metadata.annotations[${accountName}]`)];
    case 'kubernetes.io/dockercfg':
      return validateJsonKey(data, '.dockercfg');
    case 'kubernetes.io/dockerconfigjson':
      return validateJsonKey(data, '.dockerconfigjson');
    case 'kubernetes.io/basic-auth':
      // The path is the reference's, percent sign and all.
      return ['username', 'password'].some((key) => Object.hasOwn(data, key))
        ? []
        : [required('data[%s][username]'), required('data[%s][password]')];
    case 'kubernetes.io/ssh-auth':
      return data['ssh-privatekey'] ? [] : [required('data[%s][ssh-privatekey]')];
    case 'kubernetes.io/tls':
      return ['tls.crt', 'tls.key'].filter((key) => !Object.hasOwn(data, key)).map((key) => required(`data[${key}]`));
    default:
      return [];
  }
}

function validateJsonKey(data: Readonly<Record<string, string>>, key: string): StatusCause[] {
  if (!Object.hasOwn(data, key)) return [required(`data[${key}]`)];
  const problem = goJsonProblem(Buffer.from(data[key]!, 'base64').toString());
  return problem === undefined ? [] : [invalid(`data[${key}]`, redacted, problem)];
}
