import { findKind, type KindDeclaration } from '../objects/index.ts';
import { badRequest, methodNotAllowed, noSuchPath } from './status-errors.ts';
import { unsupportedResource } from './unsupported.ts';

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection';

/** What a request to a resource asks for: what authorization, admission and metrics go by. */
export interface RequestInfo {
  readonly verb: Verb;
  readonly kind: KindDeclaration;
  /** '' for cluster-scoped resources, and for all namespaces. */
  readonly namespace: string;
  /** '' for collections. */
  readonly name: string;
  /** '' for the object itself. */
  readonly subresource: string;
}

const standardMethods: ReadonlySet<string> = new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']);
const namespaceSubresources: ReadonlySet<string> = new Set(['status', 'finalize']);

/**
 * Reads method, path and query of a request below /api/VERSION or /apis/GROUP/VERSION (the reference's RequestInfoFactory).
 * @throws StatusError 404 for a path that leads nowhere, 400 for one that is not properly encoded.
 */
export function parseRequestInfo(method: string, path: string, query: URLSearchParams): RequestInfo {
  const [root, ...parts] = decodePath(path);
  const group = root === 'apis' ? parts.shift() : '';
  const version = parts.shift();
  if (!version || group === undefined || (root === 'apis' && group === '')) throw noSuchPath();
  // The old way to say watch=true (deprecated since 1.11, and still there).
  const watches = parts[0] === 'watch' && parts.length > 1 && method === 'GET';
  if (watches) parts.shift();
  let namespace = '';
  let rest = parts;
  if (parts[0] === 'namespaces' && parts.length > 2 && !namespaceSubresources.has(parts[2]!)) {
    namespace = parts[1]!;
    rest = parts.slice(2);
  }
  const [plural = '', named = '', subresource = '', ...tooMuch] = rest;
  const kind = findKind(group, version, plural);
  if (!kind) throw unsupportedResource(group, plural) ?? noSuchPath();
  // What comes after `proxy` is a path of whatever is behind it.
  if ((tooMuch.length > 0 && subresource !== 'proxy') || (namespace && !kind.resource.namespaced)) throw noSuchPath();
  // Together with a selector that is there: the request was authorized for this name alone.
  if (watches && named) query.set('fieldSelector', [query.get('fieldSelector') || [], `metadata.name=${named}`].flat().join(','));
  const name = watches ? '' : named;
  // An object of a namespaced kind has no path outside its namespace.
  if (name && kind.resource.namespaced && !namespace) throw noSuchPath();
  if (!standardMethods.has(method)) throw methodNotAllowed();
  return { verb: watches ? 'watch' : verbOf(method, name, query), kind, namespace, name, subresource };
}

function decodePath(path: string): string[] {
  try {
    const parts = path
      .replace(/^\/+|\/+$/g, '')
      .split('/')
      .map(decodeURIComponent);
    if (parts.some((part) => part === '' || part.includes('/') || part.includes('\0'))) throw noSuchPath();
    return parts;
  } catch (error) {
    throw error instanceof URIError ? badRequest('the path is not properly encoded') : error;
  }
}

function verbOf(method: string, name: string, query: URLSearchParams): Verb {
  switch (method) {
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return name ? 'delete' : 'deletecollection';
    default:
      if (name) return 'get';
      return isTrue(query.get('watch')) ? 'watch' : 'list';
  }
}

/** A boolean among query parameters, as apimachinery reads it: all that is there is true, but for `0` and `false`. */
export const isTrue = (value: string | null): boolean => value !== null && value !== '0' && value.toLowerCase() !== 'false';
