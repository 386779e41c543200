import { applyPatch, type Operation } from 'rfc6902';
import { findDuplicateKeys, jsonMergePatch, PatchError, strategicMergePatch } from '../objects/index.ts';
import { decodePatch, type FieldValidation, mediaType, type RequestBody } from './decode.ts';
import { badRequest, StatusError, unsupportedMediaType } from './status-errors.ts';

/** From an object (of which it may use parts) to the patched one. @throws StatusError 400 or 422. */
export type Patch = (object: unknown) => unknown;

const applyType = 'application/apply-patch+yaml';
const types = ['application/json-patch+json', 'application/merge-patch+json', 'application/strategic-merge-patch+json', applyType];

/** Whether a PATCH is a server-side apply, which has options of its own. */
export const isApply = ({ contentType }: Pick<RequestBody, 'contentType'>): boolean => mediaType(contentType) === applyType;

/** Reads the configuration of a server-side apply, YAML or JSON, with warnings of fields that occur twice. @throws StatusError 400, 413. */
export async function readConfiguration(
  body: RequestBody,
  validation: FieldValidation,
): Promise<{ configuration: Record<string, unknown>; warnings: string[] }> {
  const text = body.bytes.toString('utf8').trimStart();
  // Clients send JSON, which is YAML too but is read much faster.
  const isJson = text.startsWith('{') && isJsonText(text);
  const configuration = await decodeYaml(isJson ? { ...body, contentType: 'application/json' } : body);
  const duplicates = isJson && validation !== 'Ignore' ? findDuplicateKeys(text) : [];
  const warnings = duplicates.map((path) => `duplicate field ${JSON.stringify(path)}`);
  if (validation === 'Strict' && warnings.length > 0) throw badRequest(`error strict decoding YAML: ${warnings.join(', ')}`);
  return { configuration, warnings };
}

async function decodeYaml(body: RequestBody): Promise<Record<string, unknown>> {
  let value: unknown;
  try {
    value = await decodePatch(body);
  } catch (error) {
    if (!(error instanceof StatusError) || error.status.code !== 400) throw error;
    throw badRequest(`error decoding YAML: ${error.message}`);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  const type = Array.isArray(value) ? 'array' : typeof value;
  const unmarshaling = `json: cannot unmarshal ${type} into Go value of type map[string]interface {}`;
  throw badRequest(`error decoding YAML: error unmarshaling JSON: while decoding JSON: ${unmarshaling}`);
}

function isJsonText(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** More operations than these are refused, as the reference does. */
const maxOperations = 10_000;

/** Reads the body of a PATCH; `schema` is the message that strategic merge goes by. @throws StatusError 400, 413, 415. */
export async function readPatch(body: RequestBody, schema: string): Promise<Patch> {
  const type = mediaType(body.contentType);
  if (!types.includes(type)) {
    throw unsupportedMediaType(`the body of the request was in an unknown format - accepted media types include: ${types.join(', ')}`);
  }
  const patch = await decodePatch(body);
  if (type === 'application/json-patch+json') return jsonPatch(patch);
  if (type === 'application/merge-patch+json') return (object) => jsonMergePatch(object, patch);
  return (object) => {
    try {
      return strategicMergePatch(schema, object, patch);
    } catch (error) {
      throw error instanceof PatchError ? badRequest(error.message) : error;
    }
  };
}

/** RFC 6902. A test that fails, or a path that leads nowhere, is the request's fault: 422. */
function jsonPatch(patch: unknown): Patch {
  if (!Array.isArray(patch)) throw badRequest('error decoding patch: a JSON patch is a list of operations');
  if (patch.length > maxOperations) {
    throw new StatusError({
      code: 413,
      reason: 'RequestEntityTooLarge',
      message: `The allowed maximum operations in a JSON patch is ${maxOperations}, got ${patch.length}`,
    });
  }
  for (const operation of patch as unknown[]) checkOperation(operation);
  return (object) => {
    const errors = applyPatch(object, structuredClone(patch) as Operation[]);
    const failed = errors.find((error) => error !== null);
    if (failed) {
      const message = `the server rejected our request due to an error in our request: ${failed.message}`;
      throw new StatusError({ code: 422, reason: 'Invalid', message, details: {} });
    }
    return object;
  };
}

const operations = new Set(['add', 'remove', 'replace', 'move', 'copy', 'test']);

function checkOperation(operation: unknown): void {
  const { op, path, from } = (operation ?? {}) as Record<string, unknown>;
  if (typeof op !== 'string' || !operations.has(op))
    throw badRequest(`error decoding patch: unknown operation ${JSON.stringify(op ?? null)}`);
  for (const pointer of op === 'move' || op === 'copy' ? [path, from] : [path]) {
    if (typeof pointer !== 'string' || (pointer !== '' && !pointer.startsWith('/')))
      throw badRequest(`error decoding patch: ${op} needs a JSON pointer`);
    // Assigning to it would change the object's prototype instead of a field.
    if (pointer.split('/').includes('__proto__')) throw badRequest('error decoding patch: __proto__ is no field');
  }
}
