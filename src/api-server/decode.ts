import {
  type AnyObject,
  apiVersionOf,
  checkFields,
  decodeKubernetesProtobuf,
  fieldWarnings,
  findDuplicateKeys,
  type KindDeclaration,
  pruneUnknown,
  strictDecodingMessage,
} from '../objects/index.ts';
import { checkNesting } from './nesting.ts';
import { badRequest, StatusError, unsupportedMediaType } from './status-errors.ts';

export type FieldValidation = 'Ignore' | 'Warn' | 'Strict';

/** What a body must be: a kind, or a type of its own such as Scale. */
export interface ExpectedType {
  /** '' when any will do. */
  readonly apiVersion: string;
  readonly kind: string;
  /** Message name in the schema tables. */
  readonly schema: string;
}

export const expectedOf = ({ resource, schema }: KindDeclaration): ExpectedType => ({
  apiVersion: apiVersionOf(resource),
  kind: resource.kind,
  schema,
});

export interface Decoded {
  readonly object: AnyObject;
  readonly warnings: readonly string[];
}

/** Body of a request, before it is looked into. */
export interface RequestBody {
  readonly contentType: string;
  readonly bytes: Buffer;
}

const mediaType = (contentType: string): string => contentType.split(';', 1)[0]!.trim().toLowerCase();

/**
 * Reads an object from JSON, YAML or Kubernetes protobuf, and brings it to the form of its schema.
 * @throws StatusError 400 for what is no object of the type, 415 for another content type.
 */
export async function decodeObject(body: RequestBody, expected: ExpectedType, validation: FieldValidation): Promise<Decoded> {
  const { value, duplicates } = await decodeValue(body, expected, validation);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw badRequest(`the object provided is unrecognized (must be of type ${expected.kind}): it is no JSON object`);
  }
  return checkObject(value as AnyObject, expected, validation, duplicates);
}

/** As {@link decodeObject} for what has been read already, such as the outcome of a patch. In place. */
export function checkObject(
  object: AnyObject,
  expected: ExpectedType,
  validation: FieldValidation,
  duplicates: readonly string[] = [],
): Decoded {
  const { apiVersion, kind, schema } = expected;
  object.apiVersion ||= apiVersion;
  object.kind ||= kind;
  const handled = `${object.kind} in version ${JSON.stringify(versionOf(object.apiVersion))} cannot be handled as a ${kind}`;
  if (apiVersion && object.apiVersion !== apiVersion) {
    throw badRequest(`the API version in the data (${String(object.apiVersion)}) does not match the expected API version (${apiVersion})`);
  }
  if (object.kind !== kind) throw badRequest(`${handled}: no kind "${String(object.kind)}" is registered for the path of the request`);
  const { unknown, wrongType } = checkFields(schema, object);
  if (wrongType.length > 0) throw badRequest(`${handled}: ${wrongType.join(', ')}`);
  if (validation === 'Strict' && unknown.length + duplicates.length > 0)
    throw badRequest(`${handled}: ${strictDecodingMessage(unknown, duplicates)}`);
  pruneUnknown(schema, object);
  object.metadata ??= {} as AnyObject['metadata'];
  return { object, warnings: validation === 'Warn' ? fieldWarnings(unknown, duplicates) : [] };
}

const versionOf = (apiVersion: unknown): string => String(apiVersion).slice(String(apiVersion).lastIndexOf('/') + 1);

async function decodeValue(
  body: RequestBody,
  expected: ExpectedType,
  validation: FieldValidation,
): Promise<{ value: unknown; duplicates: string[] }> {
  const type = mediaType(body.contentType);
  switch (type) {
    case '':
    case 'application/json': {
      const value = parseJson(
        body.bytes,
        `the object provided is unrecognized (must be of type ${expected.kind}): couldn't get version/kind; json parse error`,
      );
      return { value, duplicates: validation === 'Ignore' ? [] : duplicatesIn(body.bytes) };
    }
    case 'application/yaml':
      return { value: await parseYaml(body.bytes), duplicates: [] };
    case 'application/vnd.kubernetes.protobuf':
      try {
        return { value: decodeKubernetesProtobuf(body.bytes), duplicates: [] };
      } catch (error) {
        throw badRequest(`the protobuf body cannot be read: ${(error as Error).message}`);
      }
    default:
      throw unsupportedMediaType(
        `the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf`,
      );
  }
}

function parseJson(bytes: Buffer, context: string): unknown {
  const text = utf8(bytes);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw badRequest(`${context}: ${(error as Error).message}`);
  }
  checkNesting(value);
  return value;
}

function duplicatesIn(bytes: Buffer): string[] {
  try {
    return findDuplicateKeys(utf8(bytes));
  } catch (error) {
    throw badRequest((error as Error).message);
  }
}

/** Reading YAML takes some 4 microseconds a byte, in which nobody else is served. */
const maxYamlBytes = 256 * 1024;

/** YAML 1.1's surprises (`no`, `012`) stay words and numbers of YAML 1.2's JSON schema; aliases cannot grow without bound. */
async function parseYaml(bytes: Buffer): Promise<unknown> {
  if (bytes.length > maxYamlBytes) {
    throw new StatusError({
      code: 413,
      reason: 'RequestEntityTooLarge',
      message: `YAML bodies may have at most ${maxYamlBytes} bytes; send JSON`,
    });
  }
  // Loaded when first needed: kubectl sends JSON.
  const { parse } = await import('yaml');
  try {
    const value = parse(utf8(bytes), { maxAliasCount: 100 }) as unknown;
    checkNesting(value);
    return value;
  } catch (error) {
    if (error instanceof StatusError) throw error;
    throw badRequest(`error converting YAML to JSON: ${(error as Error).message}`);
  }
}

function utf8(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw badRequest('the body is not valid UTF-8');
  }
}

/** The body of a patch as JSON. @throws StatusError 400. */
export async function decodePatch({ contentType, bytes }: RequestBody): Promise<unknown> {
  if (mediaType(contentType).endsWith('+yaml')) return parseYaml(bytes);
  return parseJson(bytes, 'error decoding patch');
}

export { mediaType };
