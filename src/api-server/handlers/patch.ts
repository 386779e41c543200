import type { AnyObject } from '../../objects/index.ts';
import type { ApiRequest, ApiResponse } from '../api-request.ts';
import { checkObject, expectedOf } from '../decode.ts';
import { isApply, readPatch } from '../patch.ts';
import type { Registry } from '../registry/registry.ts';
import { updateObject } from '../registry/update.ts';
import { badRequest } from '../status-errors.ts';
import { managerOf, parseWriteOptions } from '../write-options.ts';
import { handleApply } from './apply.ts';
import { checkUid } from './identity.ts';
import { preparation } from './update.ts';

/** PATCH of an object, of its /status, or of a namespace's /finalize. */
export async function handlePatch(registry: Registry, request: ApiRequest): Promise<ApiResponse> {
  const { info, query, body, user, userAgent, warnings } = request;
  if (isApply(body)) return handleApply(registry, request);
  const { kind, namespace, name, subresource } = info;
  const options = parseWriteOptions(query, 'PatchOptions');
  const patch = await readPatch(body, kind.schema);
  let warned: readonly string[] = [];
  const change = (current: AnyObject): AnyObject => {
    const { uid } = current.metadata;
    const checked = checkObject(asObject(patch(current)), expectedOf(kind), options.fieldValidation);
    checkUid(kind, checked.object, uid);
    warned = checked.warnings;
    return checked.object;
  };
  const update = { kind, namespace, name, subresource, change, prepare: preparation(kind, subresource) };
  const { json } = await updateObject(registry, update, {
    user,
    dryRun: options.dryRun,
    manager: managerOf(options, userAgent),
  });
  warnings.push(...warned);
  return { code: 200, json };
}

export function asObject(value: unknown): AnyObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badRequest('the patch leaves no object');
  return value as AnyObject;
}
