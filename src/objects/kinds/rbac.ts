import { isDeepStrictEqual } from 'node:util';
import type { AnyObject } from '../kind.ts';
import { ageColumn, column, nameColumn, wideColumn } from '../print/columns.ts';
import { type Resource, resources } from '../resource.ts';
import type { LabelSelector, StatusCause } from '../types/index.ts';
import { invalid, invalids, notSupported, required } from '../validation/causes.ts';
import { validateLabelSelector } from '../validation/label-selector.ts';
import { dnsSubdomain, pathSegment } from '../validation/names.ts';
import { declareKind } from './declare.ts';

const group = 'rbac.authorization.k8s.io';

interface Rule {
  verbs?: string[];
  apiGroups?: string[];
  resources?: string[];
  nonResourceURLs?: string[];
}
interface Subject {
  kind?: string;
  apiGroup?: string;
  name?: string;
  namespace?: string;
}

const role = (resource: Resource) =>
  declareKind({
    resource,
    createsOnUpdate: true,
    nameRule: pathSegment,
    validate: (object) => [
      ...((object['rules'] ?? []) as Rule[]).flatMap((rule, index) => validateRule(rule, `rules[${index}]`, resource.namespaced)),
      ...(object['aggregationRule']
        ? validateAggregation(object['aggregationRule'].clusterRoleSelectors ?? [], 'aggregationRule.clusterRoleSelectors')
        : []),
    ],
    columns: [nameColumn, column('Created At', 'When the object was created.', ({ metadata }) => metadata.creationTimestamp ?? '', 'date')],
  });

const binding = (resource: Resource) =>
  declareKind({
    resource,
    createsOnUpdate: true,
    nameRule: pathSegment,
    defaults(object) {
      object['roleRef'] ??= {};
      object['roleRef'].apiGroup ||= group;
      for (const subject of subjectsOf(object)) if (subject.kind === 'User' || subject.kind === 'Group') subject.apiGroup ||= group;
    },
    validate: (object, old) => [
      ...validateRoleRef(object['roleRef'] ?? {}, resource.namespaced),
      ...subjectsOf(object).flatMap((subject, index) => validateSubject(subject, `subjects[${index}]`, resource.namespaced)),
      ...(old && !isDeepStrictEqual(object['roleRef'], old['roleRef'])
        ? [invalid('roleRef', object['roleRef'] ?? null, 'cannot change roleRef')]
        : []),
    ],
    columns: [
      nameColumn,
      column('Role', 'The role that is bound.', (object) => `${object['roleRef']?.kind}/${object['roleRef']?.name}`),
      ageColumn,
      wideColumn('Users', 'Users among the subjects.', (object) => subjectNames(object, 'User')),
      wideColumn('Groups', 'Groups among the subjects.', (object) => subjectNames(object, 'Group')),
      wideColumn('ServiceAccounts', 'Service accounts among the subjects.', (object) => subjectNames(object, 'ServiceAccount')),
    ],
  });

export const rbacKinds = [
  role(resources.roles),
  role(resources.clusterRoles),
  binding(resources.roleBindings),
  binding(resources.clusterRoleBindings),
];

const subjectsOf = (object: AnyObject): Subject[] => object['subjects'] ?? [];

const subjectNames = (object: AnyObject, kind: string): string =>
  subjectsOf(object)
    .filter((subject) => subject.kind === kind)
    .map(({ name, namespace }) => (kind === 'ServiceAccount' ? `${namespace}/${name}` : name))
    .join(', ');

function validateRule(
  { verbs = [], apiGroups = [], resources: names = [], nonResourceURLs = [] }: Rule,
  at: string,
  namespaced: boolean,
): StatusCause[] {
  const causes: StatusCause[] = [];
  if (verbs.length === 0) causes.push(required(`${at}.verbs`, 'verbs must contain at least one value'));
  if (nonResourceURLs.length > 0) {
    if (namespaced) causes.push(invalid(`${at}.nonResourceURLs`, nonResourceURLs, 'namespaced rules cannot apply to non-resource URLs'));
    if (apiGroups.length > 0 || names.length > 0) {
      causes.push(invalid(`${at}.nonResourceURLs`, nonResourceURLs, 'rules cannot apply to both regular resources and non-resource URLs'));
    }
    return causes;
  }
  if (apiGroups.length === 0) causes.push(required(`${at}.apiGroups`, 'resource rules must supply at least one api group'));
  if (names.length === 0) causes.push(required(`${at}.resources`, 'resource rules must supply at least one resource'));
  return causes;
}

function validateAggregation(selectors: readonly LabelSelector[], at: string): StatusCause[] {
  if (selectors.length === 0) return [required(at, 'at least one clusterRoleSelector required if aggregationRule is non-nil')];
  return selectors.flatMap((selector, index) => {
    const causes = validateLabelSelector(selector, `${at}[${index}]`);
    return causes.length > 0 ? [...causes, invalid(`${at}[${index}]`, selector, 'invalid label selector.')] : [];
  });
}

function validateRoleRef({ apiGroup, kind, name }: Subject, namespaced: boolean): StatusCause[] {
  const causes: StatusCause[] = [];
  const supported = namespaced ? ['Role', 'ClusterRole'] : ['ClusterRole'];
  if (apiGroup !== group) causes.push(notSupported('roleRef.apiGroup', apiGroup ?? '', [group]));
  if (!supported.includes(kind ?? '')) causes.push(notSupported('roleRef.kind', kind ?? '', supported));
  return [...causes, ...(name ? invalids('roleRef.name', name, pathSegment(name)) : [required('roleRef.name')])];
}

function validateSubject({ kind, apiGroup = '', name, namespace }: Subject, at: string, namespaced: boolean): StatusCause[] {
  const causes: StatusCause[] = [];
  const supported = ['ServiceAccount', 'User', 'Group'];
  if (!name) causes.push(required(`${at}.name`));
  if (!supported.includes(kind ?? '')) causes.push(notSupported(`${at}.kind`, kind ?? '', supported));
  else if (kind === 'ServiceAccount') {
    if (name) causes.push(...invalids(`${at}.name`, name, dnsSubdomain(name)));
    if (apiGroup !== '') causes.push(notSupported(`${at}.apiGroup`, apiGroup, ['']));
    if (!namespaced && !namespace) causes.push(required(`${at}.namespace`));
  } else if (apiGroup !== group) causes.push(notSupported(`${at}.apiGroup`, apiGroup, [group]));
  return causes;
}
