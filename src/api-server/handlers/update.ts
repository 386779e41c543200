import type { AnyObject, KindDeclaration } from '../../objects/index.ts';
import type { ApiRequest, ApiResponse } from '../api-request.ts';
import { decodeObject, expectedOf } from '../decode.ts';
import type { Registry } from '../registry/registry.ts';
import { type Update, updateObject } from '../registry/update.ts';
import { parseWriteOptions } from '../write-options.ts';

/** PUT of an object, of its /status, or of a namespace's /finalize. */
export async function handleUpdate(registry: Registry, { info, query, body, user, warnings }: ApiRequest): Promise<ApiResponse> {
  const { kind, namespace, name, subresource } = info;
  const options = parseWriteOptions(query);
  const decoded = await decodeObject(body, expectedOf(kind), options.fieldValidation);
  warnings.push(...decoded.warnings);
  const change = () => structuredClone(decoded.object);
  const update = { kind, namespace, name, subresource, change, prepare: preparation(kind, subresource) };
  const { json } = await updateObject(registry, update, { user, dryRun: options.dryRun });
  return { code: 200, json };
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
  object.metadata = old.metadata;
}
