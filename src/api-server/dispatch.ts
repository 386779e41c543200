import type { ApiRequest, ApiResponse } from './api-request.ts';
import { handleBinding } from './handlers/binding.ts';
import { handleCreate } from './handlers/create.ts';
import { handleDelete, handleDeleteCollection } from './handlers/delete.ts';
import { handleEviction } from './handlers/eviction.ts';
import { handleGet } from './handlers/get.ts';
import { handleList } from './handlers/list.ts';
import { handlePatch } from './handlers/patch.ts';
import { handleScale } from './handlers/scale.ts';
import { handleUpdate } from './handlers/update.ts';
import type { Registry } from './registry/registry.ts';
import { methodNotAllowed, notImplemented, noSuchPath } from './status-errors.ts';
import type { RequestInfo } from './request-info.ts';

export type Handler = (registry: Registry, request: ApiRequest) => Promise<ApiResponse>;

/** Subresources that the reference has and this server does not, and what to do instead. */
const unsupportedSubresources: Readonly<Record<string, string>> = {
  'pods/ephemeralcontainers': 'a running pod gets no further containers; use kubectl exec',
  'pods/proxy': 'kubectl port-forward reaches a pod',
  'services/proxy': 'kubectl port-forward reaches a service',
  'nodes/proxy': 'logs, exec, attach and port-forward of a pod reach its node',
  'pods/resize': 'resources of a running pod cannot be changed',
};

/** The handler of a request that is no watch. @throws StatusError 404, 405 or 501. */
export function handlerFor(info: RequestInfo): Handler {
  return info.subresource ? subresourceHandler(info) : objectHandler(info);
}

function objectHandler({ verb, kind, namespace, name }: RequestInfo): Handler {
  switch (verb) {
    case 'get':
      return handleGet;
    case 'list':
      return handleList;
    case 'create':
      // A namespaced object is created in its namespace, and under no name but its own.
      if (name || (kind.resource.namespaced && !namespace)) throw methodNotAllowed();
      return handleCreate;
    case 'update':
    case 'patch':
      if (!name) throw methodNotAllowed();
      return verb === 'update' ? handleUpdate : handlePatch;
    case 'delete':
      return handleDelete;
    case 'deletecollection':
      // Neither all namespaces at once, nor the objects of a namespaced kind in all of them.
      if (kind.resource.plural === 'namespaces' || (kind.resource.namespaced && !namespace)) throw methodNotAllowed();
      return handleDeleteCollection;
    default:
      throw methodNotAllowed();
  }
}

function subresourceHandler({ verb, kind, subresource }: RequestInfo): Handler {
  const { plural } = kind.resource;
  const { status, scale, binding } = kind.subresources;
  if (subresource === 'scale' && scale) return handleScale;
  if ((subresource === 'status' && status) || (subresource === 'finalize' && plural === 'namespaces')) {
    if (verb === 'update') return handleUpdate;
    if (verb === 'patch' && subresource === 'status') return handlePatch;
    if (verb === 'get' && subresource === 'status') return handleGet;
    throw methodNotAllowed();
  }
  const unsupported = unsupportedSubresources[`${plural}/${subresource}`];
  if (unsupported !== undefined) throw notImplemented(`${plural}/${subresource} is not supported by this server: ${unsupported}`);
  if ((subresource === 'binding' && binding) || (subresource === 'eviction' && plural === 'pods')) {
    if (verb !== 'create') throw methodNotAllowed();
    return subresource === 'binding' ? handleBinding : handleEviction;
  }
  throw noSuchPath();
}
