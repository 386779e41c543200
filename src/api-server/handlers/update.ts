import { type AnyObject, copyJson, type KindDeclaration } from '../../objects/index.ts';
import type { ApiRequest, ApiResponse } from '../api-request.ts';
import { decodeObject, expectedOf } from '../decode.ts';
import type { Registry } from '../registry/registry.ts';
import { type Update, updateObject } from '../registry/update.ts';
import { upsertObject } from '../registry/upsert.ts';
import { conflict } from '../status-errors.ts';
import { managerOf, parseWriteOptions } from '../write-options.ts';
import { checkName } from './identity.ts';

/** PUT of an object, of its /status, or of a namespace's /finalize. Objects of some kinds are created by it. */
export async function handleUpdate(registry: Registry, request: ApiRequest): Promise<ApiResponse> {
  const { info, query, body, user, userAgent, warnings } = request;
  const { kind, namespace, name, subresource } = info;
  const options = parseWriteOptions(query, 'UpdateOptions');
  const decoded = await decodeObject(body, expectedOf(kind), options.fieldValidation);
  warnings.push(...decoded.warnings);
  checkName(decoded.object, name);
  const change = () => copyJson(decoded.object);
  const update = { kind, namespace, name, subresource, change, prepare: preparation(kind, subresource) };
  const context = { user, dryRun: options.dryRun, manager: managerOf(options, userAgent) };
  if (!kind.createsOnUpdate || subresource) return { code: 200, json: (await updateObject(registry, update, context)).json };
  const creation = (): AnyObject => {
    request.requireCreate();
    const { uid } = decoded.object.metadata;
    if (uid) throw conflict(kind.resource, name, `Precondition failed: UID in precondition: ${uid}, UID in object meta: `);
    return copyJson(decoded.object);
  };
  const { json, created } = await upsertObject(registry, { ...update, creation }, context);
  return { code: created ? 201 : 200, json };
}

/** What a write to the object or to one of its subresources may change. */
export function preparation(kind: KindDeclaration, subresource: string): Update['prepare'] {
  switch (subresource) {
    case 'status':
      return (object, old) => kind.prepareForStatusUpdate(object, old);
    case 'finalize':
      return keepAllButFinalizers;
    default:
      return (object, old) => kind.prepareForUpdate(object, old);
  }
}

/** /finalize writes spec.finalizers of a namespace and nothing else. */
function keepAllButFinalizers(object: AnyObject, old: AnyObject): void {
  const finalizers: string[] = object.spec?.finalizers ?? [];
  object.spec = { ...old.spec, finalizers };
  if (finalizers.length === 0) delete object.spec.finalizers;
  object.status = old.status;
  const { managedFields } = object.metadata;
  object.metadata = { ...old.metadata, ...(managedFields && { managedFields }) };
}
