import type { ApiRequest, ApiResponse } from '../api-request.ts';
import { decodeObject, expectedOf } from '../decode.ts';
import { createObject } from '../registry/create.ts';
import type { Registry } from '../registry/registry.ts';
import { managerOf, parseWriteOptions } from '../write-options.ts';

/** POST to a collection. */
export async function handleCreate(registry: Registry, { info, query, body, user, userAgent, warnings }: ApiRequest): Promise<ApiResponse> {
  const { kind, namespace } = info;
  const options = parseWriteOptions(query);
  const decoded = await decodeObject(body, expectedOf(kind), options.fieldValidation);
  warnings.push(...decoded.warnings);
  const context = { user, dryRun: options.dryRun, manager: managerOf(options, userAgent) };
  const { json } = await createObject(registry, kind, namespace, decoded.object, context);
  return { code: 201, json };
}
