import type { Attributes } from '../access.ts';
import { isTrue } from '../request-info.ts';

const namespaceSubresources: ReadonlySet<string> = new Set(['status', 'finalize']);
const specialVerbs: ReadonlySet<string> = new Set(['proxy', 'watch']);
const verbs: Readonly<Record<string, string>> = {
  POST: 'create',
  GET: 'get',
  HEAD: 'get',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/**
 * What a request asks for, from its method and URL (the reference's RequestInfoFactory). Any path has attributes, also one that leads nowhere:
 * who may ask is decided before what there is. `url` is path and query as sent.
 */
export function attributesOf(method: string, url: string): Attributes {
  const mark = url.indexOf('?');
  const path = mark < 0 ? url : url.slice(0, mark);
  const nonResource: Attributes = { isResource: false, verb: method.toLowerCase(), path: decode(path) };
  // `GET //api` is a path of its own, not /api.
  if (!path.startsWith('/api')) return nonResource;
  const [prefix, ...rest] = splitPath(path);
  const group = prefix === 'apis' ? (rest.shift() ?? '') : '';
  if ((prefix !== 'api' && prefix !== 'apis') || rest.length < 2) return nonResource;
  const version = rest.shift()!;
  const verb = specialVerbs.has(rest[0]!) && rest.length > 1 ? rest.shift()! : (verbs[method] ?? '');
  let parts = rest;
  let namespace = '';
  if (parts[0] === 'namespaces' && parts.length > 1) {
    // The object itself is in the namespace that it is: a role in there can allow to look at it.
    namespace = parts[1]!;
    if (parts.length > 2 && !namespaceSubresources.has(parts[2]!)) parts = parts.slice(2);
  }
  const [resource = '', name = '', subresource = ''] = parts;
  const whole: Attributes = { isResource: true, verb, group, version, resource, subresource, namespace, name };
  if (name) return whole;
  if (verb === 'delete') return { ...whole, verb: 'deletecollection' };
  if (verb !== 'get') return whole;
  const query = mark < 0 ? undefined : new URLSearchParams(url.slice(mark + 1));
  return { ...whole, verb: isTrue(query?.get('watch') ?? null) ? 'watch' : 'list', name: selectedName(query?.get('fieldSelector')) };
}

function splitPath(path: string): string[] {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part !== '') parts.push(part.includes('%') ? decode(part) : part);
  }
  return parts;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** `metadata.name=web` names one object, so that a rule with resourceNames can allow to watch it. */
function selectedName(selector: string | null | undefined): string {
  if (!selector) return '';
  const names = selector.split(',').flatMap((term) => /^metadata\.name==?([^!=]+)$/.exec(term.trim())?.[1] ?? []);
  return names.length === 1 && !/[/%]/.test(names[0]!) && names[0] !== '.' && names[0] !== '..' ? names[0]! : '';
}
