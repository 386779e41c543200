import { createHash } from 'node:crypto';
import type { KindDeclaration } from '../objects/index.ts';
import { parseAccept } from './negotiate.ts';

interface ServedSubresource {
  readonly name: string;
  readonly verbs: readonly string[];
  readonly responseKind: { readonly group: string; readonly version: string; readonly kind: string };
}

const verbsOf = ({ resource, review }: KindDeclaration): string[] => (review ? ['create'] : storedVerbs(resource.plural));

const storedVerbs = (plural: string): string[] => [
  'create',
  'delete',
  ...(plural === 'namespaces' ? [] : ['deletecollection']),
  'get',
  'list',
  'patch',
  'update',
  'watch',
];

const tokenRequestKind = { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' };

/** What a client connects to: POST by SPDY, GET by WebSocket. */
const connected = (name: string, kind: string): ServedSubresource => ({
  name,
  verbs: ['create', 'get'],
  responseKind: { group: '', version: 'v1', kind },
});

function subresourcesOf({ resource, subresources }: KindDeclaration): ServedSubresource[] {
  const { group, version, kind, plural } = resource;
  const own = { group, version, kind };
  return [
    ...(plural === 'pods' ? [connected('attach', 'PodAttachOptions')] : []),
    ...(subresources.binding ? [{ name: 'binding', verbs: ['create'], responseKind: { group: '', version: 'v1', kind: 'Binding' } }] : []),
    ...(plural === 'pods'
      ? [
          { name: 'eviction', verbs: ['create'], responseKind: { group: 'policy', version: 'v1', kind: 'Eviction' } },
          connected('exec', 'PodExecOptions'),
          { name: 'log', verbs: ['get'], responseKind: own },
          connected('portforward', 'PodPortForwardOptions'),
        ]
      : []),
    ...(plural === 'namespaces' ? [{ name: 'finalize', verbs: ['update'], responseKind: own }] : []),
    ...(subresources.scale
      ? [{ name: 'scale', verbs: ['get', 'patch', 'update'], responseKind: { group: 'autoscaling', version: 'v1', kind: 'Scale' } }]
      : []),
    ...(subresources.token ? [{ name: 'token', verbs: ['create'], responseKind: tokenRequestKind }] : []),
    ...(subresources.status ? [{ name: 'status', verbs: ['get', 'patch', 'update'], responseKind: own }] : []),
  ];
}

/** The order in which the reference tells of the groups: kubectl takes the first that has a resource of a name that is given without group. */
const groupOrder = [
  ...['', 'apps', 'events.k8s.io', 'authentication.k8s.io', 'authorization.k8s.io', 'networking.k8s.io', 'policy'],
  ...['rbac.authorization.k8s.io', 'storage.k8s.io', 'coordination.k8s.io', 'node.k8s.io', 'discovery.k8s.io'],
];
const rank = (group: string): number => (groupOrder.includes(group) ? groupOrder.indexOf(group) : groupOrder.length);

const byName = (a: KindDeclaration, b: KindDeclaration): number => (a.resource.plural < b.resource.plural ? -1 : 1);

/** By which clients see whether a resource is stored as another kind than before (the reference's StorageVersionHash). */
const storageHash = ({ resource: { group, version, kind } }: KindDeclaration): string =>
  createHash('sha256').update(`${group}/${version}/${kind}`).digest().subarray(0, 8).toString('base64');

/** Group -> versions, in the reference's order. */
function groupsOf(kinds: readonly KindDeclaration[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const { resource } of kinds) {
    const versions = groups.get(resource.group) ?? [];
    if (!versions.includes(resource.version)) groups.set(resource.group, [...versions, resource.version]);
  }
  return new Map([...groups].toSorted(([a], [b]) => rank(a) - rank(b)));
}

/** The aggregated form that an Accept header asks for on /api and /apis (KEP-3352); undefined for the old lists. */
export function aggregatedVersion(accept: string | undefined): 'v2' | 'v2beta1' | undefined {
  for (const { type, parameters } of parseAccept(accept)) {
    if (type !== 'application/json' && type !== '*/*' && type !== 'application/*') continue;
    const version = parameters.get('v');
    if (
      parameters.get('g') === 'apidiscovery.k8s.io' &&
      parameters.get('as') === 'APIGroupDiscoveryList' &&
      (version === 'v2' || version === 'v2beta1')
    ) {
      return version;
    }
    if (!parameters.has('as')) return undefined;
  }
  return undefined;
}

export const aggregatedContentType = (version: string): string =>
  `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`;

/** All groups and their resources in one answer; `core` for /api, the named groups for /apis. */
export function aggregatedDiscovery(kinds: readonly KindDeclaration[], core: boolean, apiVersion: 'v2' | 'v2beta1'): object {
  const groups = [...groupsOf(kinds)].filter(([group]) => (group === '') === core);
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${apiVersion}`,
    metadata: {},
    items: groups.map(([group, versions]) => ({
      metadata: { ...(group ? { name: group } : {}), creationTimestamp: null },
      versions: versions.map((version) => ({
        version,
        freshness: 'Current',
        resources: servedIn(kinds, group, version).map(resourceDiscovery),
      })),
    })),
  };
}

function resourceDiscovery(kind: KindDeclaration): object {
  const { resource, singular, shortNames, categories } = kind;
  const { group, version } = resource;
  const subresources = subresourcesOf(kind).map(({ name, verbs, responseKind }) => ({ subresource: name, responseKind, verbs }));
  return {
    resource: resource.plural,
    responseKind: { group, version, kind: resource.kind },
    scope: resource.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: singular,
    verbs: verbsOf(kind),
    ...(shortNames.length > 0 ? { shortNames } : {}),
    ...(categories.length > 0 ? { categories } : {}),
    ...(subresources.length > 0 ? { subresources } : {}),
  };
}

const servedIn = (kinds: readonly KindDeclaration[], group: string, version: string): KindDeclaration[] =>
  kinds.filter(({ resource }) => resource.group === group && resource.version === version).toSorted(byName);

/** GET /api without aggregation. */
export const apiVersions = (serverAddress: string): object => ({
  kind: 'APIVersions',
  versions: ['v1'],
  serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress }],
});

/** GET /apis without aggregation. */
export const apiGroupList = (kinds: readonly KindDeclaration[]): object => ({
  kind: 'APIGroupList',
  apiVersion: 'v1',
  groups: [...groupsOf(kinds)].filter(([group]) => group !== '').map(([group, versions]) => toGroup(group, versions)),
});

function toGroup(name: string, versions: readonly string[]) {
  const listed = versions.map((version) => ({ groupVersion: `${name}/${version}`, version }));
  return { name, versions: listed, preferredVersion: listed[0] };
}

/** GET /apis/GROUP; undefined when there is no such group. */
export function apiGroup(kinds: readonly KindDeclaration[], name: string): object | undefined {
  const versions = groupsOf(kinds).get(name);
  return name && versions ? { kind: 'APIGroup', apiVersion: 'v1', ...toGroup(name, versions) } : undefined;
}

/** GET /api/v1 or /apis/GROUP/VERSION; undefined when nothing of it is served. */
export function apiResourceList(kinds: readonly KindDeclaration[], group: string, version: string): object | undefined {
  const served = servedIn(kinds, group, version);
  if (served.length === 0) return undefined;
  const resources = served.flatMap((kind) => {
    const { resource, singular, shortNames, categories } = kind;
    const { plural: name, namespaced } = resource;
    const optional = { ...(shortNames.length > 0 ? { shortNames } : {}), ...(categories.length > 0 ? { categories } : {}) };
    const main = {
      name,
      singularName: singular,
      namespaced,
      kind: resource.kind,
      verbs: verbsOf(kind),
      ...optional,
      ...(kind.review ? {} : { storageVersionHash: storageHash(kind) }),
    };
    return [main, ...subresourcesOf(kind).map((subresource) => oldSubresource(kind, subresource))];
  });
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: group ? `${group}/${version}` : version, resources };
}

function oldSubresource({ resource }: KindDeclaration, { name, verbs, responseKind }: ServedSubresource): object {
  const foreign = responseKind.group !== resource.group || responseKind.version !== resource.version;
  return {
    name: `${resource.plural}/${name}`,
    singularName: '',
    namespaced: resource.namespaced,
    ...(foreign ? { group: responseKind.group, version: responseKind.version } : {}),
    kind: responseKind.kind,
    verbs,
  };
}
