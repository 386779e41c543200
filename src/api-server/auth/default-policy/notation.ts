import type { PolicyRule } from '../authorization/policy-rule.ts';

/*
 * A short notation for rules, so that a role reads as a table: words with blanks between.
 */

export const read = 'get list watch';
export const write = 'create update patch delete deletecollection';
export const readWrite = `${read} ${write}`;
export const readUpdate = `${read} update patch`;

const words = (text: string): string[] => text.split(' ');
const sorted = (text: string): string[] => words(text).toSorted();

/** The API group of a name's first word: `core` is the group without a name. */
const groupNames: Readonly<Record<string, string>> = {
  core: '',
  apps: 'apps',
  authentication: 'authentication.k8s.io',
  authorization: 'authorization.k8s.io',
  autoscaling: 'autoscaling',
  batch: 'batch',
  certificates: 'certificates.k8s.io',
  coordination: 'coordination.k8s.io',
  'custom.metrics': 'custom.metrics.k8s.io',
  discovery: 'discovery.k8s.io',
  events: 'events.k8s.io',
  extensions: 'extensions',
  'external.metrics': 'external.metrics.k8s.io',
  metrics: 'metrics.k8s.io',
  networking: 'networking.k8s.io',
  node: 'node.k8s.io',
  policy: 'policy',
  rbac: 'rbac.authorization.k8s.io',
  storage: 'storage.k8s.io',
  '*': '*',
};

/** `allow('get list', 'core', 'pods pods/log')`; with `names`, on objects of these names alone. */
export const allow = (verbs: string, groups: string, resources: string, names?: string): PolicyRule => ({
  apiGroups: words(groups)
    .map((group) => groupNames[group]!)
    .toSorted(),
  ...(names === undefined ? {} : { resourceNames: sorted(names) }),
  resources: sorted(resources),
  verbs: sorted(verbs),
});

/** GET of paths of the server itself. */
export const paths = (urls: string, verbs = 'get'): PolicyRule => ({ nonResourceURLs: sorted(urls), verbs: sorted(verbs) });

/** Recording events, old and new. */
export const recordEvents = allow('create update patch', 'core events', 'events');
