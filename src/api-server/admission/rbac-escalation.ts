import { isDeepStrictEqual } from 'node:util';
import { type AnyObject, resources } from '../../objects/index.ts';
import { type Attributes, type Decision, mastersGroup, type User } from '../access.ts';
import { compactRules, uncoveredRules } from '../auth/authorization/rules-cover.ts';
import { describeRule, type PolicyRule, quotedList } from '../auth/authorization/policy-rule.ts';
import type { RbacIndex, RoleRef } from '../auth/authorization/rbac-index.ts';
import { forbidden, notFound } from '../status-errors.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';

export interface EscalationParts {
  readonly index: RbacIndex;
  readonly authorize: (user: User, attributes: Attributes) => Decision;
}

const { group } = resources.roles;
const everything: readonly PolicyRule[] = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceURLs: ['*'] },
];

/**
 * Nobody gives away rights that they do not have: a role may be written by those who hold all of it, or may `escalate` it; a binding by those
 * who hold all of its role, or may `bind` it (the reference's policy-based storage of roles and bindings).
 */
export const rbacEscalation = (parts: EscalationParts): AdmissionPlugin => ({
  name: 'RBACEscalation',
  admit(request) {
    const { kind, operation, user, object, old } = request;
    if (kind.resource.group !== group || operation === 'DELETE' || !object) return [];
    if (user.groups.includes(mastersGroup) || (old && onlyCollects(object, old))) return [];
    if (object['roleRef'] === undefined && !kind.resource.plural.endsWith('bindings')) checkRole(parts, request, object);
    else checkBinding(parts, request, object);
    return [];
  },
});

/** The garbage collector may do its part: finalizers and owners change, nothing else. */
function onlyCollects(object: AnyObject, old: AnyObject): boolean {
  const rest = ({ metadata, ...fields }: AnyObject) => {
    const {
      finalizers: _finalizers,
      ownerReferences: _owners,
      managedFields: _managed,
      ...kept
    } = metadata as unknown as Record<string, unknown>;
    return { ...fields, metadata: kept };
  };
  return isDeepStrictEqual(rest(object), rest(old));
}

function checkRole({ index, authorize }: EscalationParts, request: AdmissionRequest, role: AnyObject): void {
  const { kind, user, namespace, operation, name, old } = request;
  const { plural: resource } = kind.resource;
  const attributes = { isResource: true, verb: 'escalate', group, version: '*', resource, subresource: '', namespace } as const;
  if (authorize(user, { ...attributes, name: operation === 'CREATE' ? '' : name }).allowed) return;
  const missing = missingRights(index, user, namespace, role['rules'] ?? []);
  if (missing !== undefined) throw forbidden(kind.resource, name, missing);
  // What an aggregating role will gather, nobody knows yet.
  const aggregates = [role, old].some((each) => (each?.['aggregationRule']?.clusterRoleSelectors ?? []).length > 0);
  if (aggregates && missingRights(index, user, namespace, everything) !== undefined) {
    throw forbidden(kind.resource, name, 'must have cluster-admin privileges to use the aggregationRule');
  }
}

function checkBinding({ index, authorize }: EscalationParts, { kind, user, namespace, name }: AdmissionRequest, binding: AnyObject): void {
  const roleRef = binding['roleRef'] as (RoleRef & { apiGroup?: string }) | undefined;
  // Validation says what is wrong with it.
  if (roleRef?.kind !== 'Role' && roleRef?.kind !== 'ClusterRole') return;
  const role = roleRef.kind === 'Role' ? resources.roles : resources.clusterRoles;
  const bind = {
    isResource: true,
    verb: 'bind',
    group: roleRef.apiGroup ?? group,
    version: '*',
    resource: role.plural,
    subresource: '',
  } as const;
  if (authorize(user, { ...bind, namespace, name: roleRef.name }).allowed) return;
  const rules = index.rulesOf(roleRef, namespace);
  if (!rules) throw notFound(role, roleRef.name);
  const missing = missingRights(index, user, namespace, rules);
  if (missing !== undefined) throw forbidden(kind.resource, name, missing);
}

/** Which of the rules the user does not hold, in the reference's words; undefined when all are held. */
function missingRights(index: RbacIndex, user: User, namespace: string, wanted: readonly PolicyRule[]): string | undefined {
  const { rules, errors } = index.rulesFor(user, namespace);
  const missing = uncoveredRules(rules, wanted);
  if (missing.length === 0) return undefined;
  const lines = [...new Set(compactRules(missing).map(describeRule))].toSorted().join('\n');
  const unresolved = errors.length > 0 ? `; resolution errors: [${errors.join(' ')}]` : '';
  const who = `user ${JSON.stringify(user.name)} (groups=${quotedList(user.groups)})`;
  return `${who} is attempting to grant RBAC permissions not currently held:\n${lines}${unresolved}`;
}
