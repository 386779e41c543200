import type { AnyObject } from '../../objects/index.ts';
import type { ApiRequest, ApiResponse } from '../api-request.ts';
import { decodeObject } from '../decode.ts';
import { deleteObject } from '../registry/delete.ts';
import type { DeleteOptions } from '../registry/deletion-rules.ts';
import type { Registry } from '../registry/registry.ts';
import { badRequest } from '../status-errors.ts';
import { parseWriteOptions } from '../write-options.ts';

const expected = { apiVersion: 'policy/v1', kind: 'Eviction', schema: 'k8s.io.api.policy.v1.Eviction' };

/** POST to pods/NAME/eviction: a deletion by way of disruption budgets, of which there are none here. */
export async function handleEviction(registry: Registry, { info, query, body, user }: ApiRequest): Promise<ApiResponse> {
  const { kind, namespace, name } = info;
  const { fieldValidation, dryRun } = parseWriteOptions(query);
  const { object } = await decodeObject(body, expected, fieldValidation);
  const { metadata, deleteOptions = {} } = object as AnyObject & { deleteOptions?: DeleteOptions };
  if (metadata.name && metadata.name !== name) throw badRequest('name in URL does not match name in Eviction object');
  await deleteObject(registry, kind, namespace, name, deleteOptions, { user, dryRun });
  return { code: 201, json: JSON.stringify({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 }) };
}
