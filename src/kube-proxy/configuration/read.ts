import type { TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { parseDocument } from 'yaml';
import { ProxyError } from '../errors.ts';
import { type ConfigurationFile, configurationSchema, withoutEffect } from './schema.ts';

export const configurationVersion = 'kubeproxy.config.k8s.io/v1alpha1';

/** A file of more bytes is not read: kube-proxy's own is of some two kilobytes. */
const mostBytes = 1_048_576;

export interface ReadConfiguration {
  readonly file: ConfigurationFile;
  /** What is in the file and changes nothing: unknown fields, and fields without an effect here, each with its reason. */
  readonly warnings: readonly string[];
}

/**
 * Reads a KubeProxyConfiguration, YAML or JSON. Unknown fields are warnings, as kube-proxy falls back to lenient decoding for v1alpha1.
 * `source` names the file. @throws ProxyError naming the file, the field and the reason
 */
export function readConfiguration(text: string, source: string): ReadConfiguration {
  const fail = (problem: string): never => {
    throw new ProxyError('invalid-configuration', `${source}: ${problem}`);
  };
  if (Buffer.byteLength(text) > mostBytes) fail(`is longer than ${mostBytes} bytes`);
  const document = parseDocument(text, { uniqueKeys: true });
  const [problem] = document.errors;
  if (problem) fail(`is not YAML: ${problem.message.split('\n')[0]}`);
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 0 });
  } catch (error) {
    return fail(`is not plain YAML: ${(error as Error).message}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return fail('is no KubeProxyConfiguration');
  const { apiVersion, kind } = value as { apiVersion?: unknown; kind?: unknown };
  if (kind !== 'KubeProxyConfiguration') fail(`kind: expected KubeProxyConfiguration, not ${JSON.stringify(kind)}`);
  if (apiVersion !== configurationVersion) fail(`apiVersion: expected ${configurationVersion}, not ${JSON.stringify(apiVersion)}`);
  if (!Value.Check(configurationSchema, value)) {
    const [error] = Value.Errors(configurationSchema, value);
    return fail(`${fieldOf(error?.instancePath ?? '')}: ${expectation(error)}`);
  }
  return { file: value, warnings: [...unknownFields(configurationSchema, value, []), ...ineffectiveFields(value)] };
}

const fieldOf = (instancePath: string): string => instancePath.slice(1).replaceAll('/', '.') || 'the document';

/** Of a union with null the part that is not null says what is meant. */
function expectation(error: { readonly message: string; readonly schemaPath?: string } | undefined): string {
  return error?.message ?? 'is invalid';
}

type SchemaNode = TSchema & { readonly properties?: Readonly<Record<string, TSchema>>; readonly anyOf?: readonly TSchema[] };

function unknownFields(schema: SchemaNode, value: unknown, path: readonly string[]): string[] {
  const properties = schema.properties ?? schema.anyOf?.map((part: SchemaNode) => part.properties).find((found) => found !== undefined);
  if (!properties || typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, field]) => {
    const here = [...path, name];
    const known = Object.hasOwn(properties, name) ? properties[name] : undefined;
    return known ? unknownFields(known, field, here) : [`${here.join('.')}: unknown field, ignored`];
  });
}

function ineffectiveFields(file: ConfigurationFile): string[] {
  return Object.entries(withoutEffect).flatMap(([field, reason]) =>
    isSet(field.split('.').reduce<unknown>((value, name) => (value as Record<string, unknown> | null | undefined)?.[name], file))
      ? [`${field}: has no effect (${reason})`]
      : [],
  );
}

/** Whether a value is other than Go's zero, with which written-out defaults are full. */
function isSet(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.values(value).some(isSet);
  return value !== undefined && value !== null && value !== '' && value !== 0 && value !== false && value !== '0s';
}
