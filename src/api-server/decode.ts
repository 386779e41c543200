import {
  type AnyObject,
  apiVersionOf,
  checkFields,
  decodeKubernetesProtobuf,
  fieldWarnings,
  findDuplicateKeys,
  findKindByName,
  goJsonProblem,
  type KindDeclaration,
  type KubernetesProtobufError,
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

/** The answer to a content type that nobody here reads. */
export const unknownFormat =
  'the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf';

const mediaType = (contentType: string): string => contentType.split(';', 1)[0]!.trim().toLowerCase();

/**
 * Reads an object from JSON, YAML or Kubernetes protobuf, and brings it to the form of its schema.
 * @throws StatusError 400 for what is no object of the type, 415 for another content type.
 */
export async function decodeObject(body: RequestBody, expected: ExpectedType, validation: FieldValidation): Promise<Decoded> {
  const { value, duplicates } = await decodeValue(body, expected, validation);
  const problem = versionAndKindProblem(value);
  if (problem) throw unrecognized(expected, `couldn't get version/kind; json parse error: ${problem}`, body.bytes);
  // For Go's decoder null is the empty object.
  return checkObject((value ?? {}) as AnyObject, expected, validation, duplicates);
}

/** What Go says when it cannot read even apiVersion and kind; undefined when it can. */
function versionAndKindProblem(value: unknown): string | undefined {
  const type = (of: unknown): string => (Array.isArray(of) ? 'array' : typeof of === 'boolean' ? 'bool' : typeof of);
  if (value === null) return undefined;
  if (typeof value !== 'object' || Array.isArray(value)) {
    const target = String.raw`struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }`;
    return `json: cannot unmarshal ${type(value)} into Go value of type ${target}`;
  }
  const wrong = (['apiVersion', 'kind'] as const).find(
    (name) => !['string', 'undefined'].includes(typeof ((value as AnyObject)[name] ?? undefined)),
  );
  return wrong && `json: cannot unmarshal ${type((value as AnyObject)[wrong])} into Go struct field .${wrong} of type string`;
}

const summaryLength = 30;

/** A body that does not even tell what it is. The beginning of it is told, as the reference does. */
function unrecognized({ kind }: ExpectedType, why: string, bytes: Buffer): StatusError {
  const encoding = bytes[0] === 0x7b ? 'utf8' : 'hex';
  const begin = bytes.subarray(0, summaryLength).toString(encoding);
  const summary = bytes.length === 0 ? '<empty>' : bytes.length > summaryLength ? `${begin} ...` : begin;
  return badRequest(`the object provided is unrecognized (must be of type ${kind}): ${why} (${summary})`);
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
  if (object.kind !== kind || (apiVersion && object.apiVersion !== apiVersion)) throw otherType(object, expected, handled);
  const { unknown, wrongType } = checkFields(schema, object);
  if (wrongType.length > 0) throw badRequest(`${handled}: ${wrongType[0]}`);
  if (validation === 'Strict' && unknown.length + duplicates.length > 0)
    throw badRequest(`${handled}: ${strictDecodingMessage(unknown, duplicates)}`);
  // An empty list of owners says that they are to be forgotten; pruning would take it for one that is not there.
  const forgetsOwners = Array.isArray(object.metadata?.managedFields) && object.metadata.managedFields.length === 0;
  pruneUnknown(schema, object);
  object.metadata ??= {} as AnyObject['metadata'];
  if (forgetsOwners) object.metadata.managedFields = [];
  return { object, warnings: validation === 'Warn' ? fieldWarnings(unknown, duplicates) : [] };
}

/** A well-formed object of another type than the path is for. */
function otherType(object: AnyObject, { apiVersion, kind }: ExpectedType, handled: string): StatusError {
  const { apiVersion: given, kind: named } = object;
  const known = findKindByName(given, named);
  if (!known) {
    return badRequest(
      `${handled}: no kind ${JSON.stringify(named)} is registered for version ${JSON.stringify(given)} in scheme "pkg/api/legacyscheme/scheme.go:30"`,
    );
  }
  if (named === kind) return badRequest(`the API version in the data (${given}) does not match the expected API version (${apiVersion})`);
  const group = known.resource.group.split('.')[0] || 'core';
  return badRequest(`${handled}: converting (${versionOf(given)}.${named}) to (${group}.${kind}): unknown conversion`);
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
      const value = parseJson(body.bytes, (problem) =>
        unrecognized(expected, `couldn't get version/kind; json parse error: ${problem}`, body.bytes),
      );
      return { value, duplicates: validation === 'Ignore' ? [] : duplicatesIn(body.bytes) };
    }
    case 'application/yaml':
      return { value: await parseYaml(body.bytes), duplicates: [] };
    case 'application/vnd.kubernetes.protobuf':
      try {
        return { value: decodeKubernetesProtobuf(body.bytes), duplicates: [] };
      } catch (error) {
        throw protobufProblem(error as KubernetesProtobufError, expected, body.bytes);
      }
    default:
      throw unsupportedMediaType(unknownFormat);
  }
}

function protobufProblem({ reason, message }: KubernetesProtobufError, expected: ExpectedType, bytes: Buffer): StatusError {
  if (reason === 'magic') {
    return unrecognized(expected, 'provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]', bytes);
  }
  return badRequest(`the protobuf body cannot be read as a ${expected.kind}: ${message}`);
}

function parseJson(bytes: Buffer, refuse: (problem: string) => StatusError): unknown {
  const text = utf8(bytes);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw refuse(goJsonProblem(text) ?? (error as Error).message);
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
  const { parse } = await import('./yaml.ts');
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
  return parseJson(bytes, badRequest);
}

export { mediaType };
