// Which operations the API server has on which path, as data; v3 and v2 render them.
import type { KindDeclaration } from '../kind.ts';
import { resourcePath } from '../resource.ts';
import { metaV1 } from '../schema/table.ts';
import type { GroupVersionKind } from './schemas.ts';

type Method = 'get' | 'put' | 'post' | 'delete' | 'patch';

export interface Operation {
  readonly path: string;
  readonly method: Method;
  readonly id: string;
  /** x-kubernetes-action */
  readonly action: 'list' | 'get' | 'post' | 'put' | 'patch' | 'delete' | 'deletecollection';
  readonly gvk: GroupVersionKind;
  /** Names of path parameters. */
  readonly pathParameters: readonly string[];
  readonly queryParameters: readonly string[];
  /** Message that the body is, '' for a patch, undefined without body. */
  readonly body: string | undefined;
  /** Message of a good answer. */
  readonly answer: string;
}

const writeParameters = ['pretty', 'dryRun', 'fieldManager', 'fieldValidation'];
const deleteParameters = ['pretty', 'dryRun', 'gracePeriodSeconds', 'orphanDependents', 'propagationPolicy'];
const listParameters = [
  ...['pretty', 'allowWatchBookmarks', 'continue', 'fieldSelector', 'labelSelector', 'limit', 'resourceVersion'],
  ...['resourceVersionMatch', 'sendInitialEvents', 'timeoutSeconds', 'watch'],
];

/** Type of each query parameter; string unless it is here. */
export const parameterTypes: Readonly<Record<string, 'integer' | 'boolean'>> = {
  gracePeriodSeconds: 'integer',
  limit: 'integer',
  timeoutSeconds: 'integer',
  allowWatchBookmarks: 'boolean',
  orphanDependents: 'boolean',
  sendInitialEvents: 'boolean',
  watch: 'boolean',
};

export const deleteOptions = `${metaV1}.DeleteOptions`;
export const status = `${metaV1}.Status`;
const tokenRequest = 'k8s.io.api.authentication.v1.TokenRequest';
const scaleMessage = 'k8s.io.api.autoscaling.v1.Scale';

/** The patch formats; the last is server-side apply. */
export const patchTypes = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
] as const;

export const gvkOf = ({ resource: { group, version, kind } }: KindDeclaration): GroupVersionKind => ({ group, version, kind });

/** Every operation on a kind. */
export function operationsOf(kind: KindDeclaration): Operation[] {
  const { resource, schema, subresources } = kind;
  const scope = resource.namespaced ? 'Namespaced' : '';
  const gvk = gvkOf(kind);
  const base = resourcePath(resource, resource.namespaced ? '{namespace}' : undefined).replace('%7Bnamespace%7D', '{namespace}');
  const collection = { path: base, gvk, pathParameters: resource.namespaced ? ['namespace'] : [] };
  const item = { path: `${base}/{name}`, gvk, pathParameters: [...collection.pathParameters, 'name'] };
  const id = (verb: string, suffix = '') => `${verb}${groupName(gvk)}${scope}${resource.kind}${suffix}`;
  const list: Operation = {
    ...collection,
    method: 'get',
    id: id('list'),
    action: 'list',
    queryParameters: listParameters,
    body: undefined,
    answer: `${schema}List`,
  };
  const post: Operation = {
    ...collection,
    method: 'post',
    id: id('create'),
    action: 'post',
    queryParameters: writeParameters,
    body: schema,
    answer: schema,
  };
  if (kind.review) return [post];
  const operations: Operation[] = [
    list,
    post,
    {
      ...collection,
      method: 'delete',
      id: id('deleteCollection'),
      action: 'deletecollection',
      queryParameters: [...listParameters, ...deleteParameters.slice(1)],
      body: deleteOptions,
      answer: status,
    },
    ...itemOperations(item, id, '', schema),
    {
      ...item,
      method: 'delete',
      id: id('delete'),
      action: 'delete',
      queryParameters: deleteParameters,
      body: deleteOptions,
      answer: status,
    },
  ];
  if (resource.namespaced) {
    operations.push({
      ...list,
      path: resourcePath(resource),
      pathParameters: [],
      id: `list${groupName(gvk)}${resource.kind}ForAllNamespaces`,
    });
  }
  if (subresources.status) operations.push(...itemOperations({ ...item, path: `${item.path}/status` }, id, 'Status', schema));
  if (subresources.token) {
    const gvkOfToken = { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' };
    operations.push({
      ...item,
      ...post,
      path: `${item.path}/token`,
      pathParameters: item.pathParameters,
      gvk: gvkOfToken,
      id: id('create', 'Token'),
      body: tokenRequest,
      answer: tokenRequest,
    });
  }
  if (subresources.scale) {
    const scale = { ...item, path: `${item.path}/scale`, gvk: { group: 'autoscaling', version: 'v1', kind: 'Scale' } };
    operations.push(...itemOperations(scale, id, 'Scale', scaleMessage));
  }
  return operations;
}

function itemOperations(
  item: Pick<Operation, 'path' | 'gvk' | 'pathParameters'>,
  id: (verb: string, suffix: string) => string,
  suffix: string,
  schema: string,
): Operation[] {
  return [
    { ...item, method: 'get', id: id('read', suffix), action: 'get', queryParameters: ['pretty'], body: undefined, answer: schema },
    { ...item, method: 'put', id: id('replace', suffix), action: 'put', queryParameters: writeParameters, body: schema, answer: schema },
    {
      ...item,
      method: 'patch',
      id: id('patch', suffix),
      action: 'patch',
      queryParameters: [...writeParameters, 'force'],
      body: '',
      answer: schema,
    },
  ];
}

/** `CoreV1`, `AppsV1`, `DiscoveryV1`. */
const groupName = ({ group, version }: GroupVersionKind): string => {
  const name = group === '' ? 'core' : group.split('.')[0]!;
  return capital(name) + capital(version);
};

const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);
