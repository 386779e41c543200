import type { Attributes, Decision, User } from '../../access.ts';
import { serviceAccountUserName } from '../service-account-names.ts';
import { type PolicyRule, ruleAllows } from './policy-rule.ts';

export interface RoleRef {
  readonly kind: string;
  readonly name: string;
}

export interface Subject {
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
}

/** A Role, or a ClusterRole when namespace is ''. */
export interface RoleEntry {
  readonly namespace: string;
  readonly name: string;
  readonly rules: readonly PolicyRule[];
}

/** A RoleBinding, or a ClusterRoleBinding when namespace is ''. */
export interface BindingEntry {
  readonly namespace: string;
  readonly name: string;
  readonly roleRef: RoleRef;
  readonly subjects: readonly Subject[];
}

/** A binding, as one subject of it sees it. */
interface Grant {
  readonly binding: BindingEntry;
  readonly roleKey: string;
  readonly allowed: Decision;
}

/** Rules by verb, so that a request looks at those alone that may allow it. */
interface IndexedRole {
  readonly rules: readonly PolicyRule[];
  readonly byVerb: ReadonlyMap<string, readonly PolicyRule[]>;
}

const roleKey = (namespace: string, name: string): string => `${namespace}/${name}`;
const none: readonly PolicyRule[] = [];

/**
 * All roles and bindings, by who has them: a decision looks at the bindings of the user and of its groups, never at all of them. Roles are
 * looked up when a decision is made, so a binding counts from the moment on that its role exists.
 */
export class RbacIndex {
  readonly #roles = new Map<string, IndexedRole>();
  /** Subject -> namespace ('' for the whole cluster) -> bindings by name. Subjects are `u:NAME` and `g:NAME`. */
  readonly #grants = new Map<string, Map<string, Map<string, Grant>>>();
  readonly #bindings = new Map<string, BindingEntry>();

  putRole({ namespace, name, rules }: RoleEntry): void {
    const byVerb = new Map<string, PolicyRule[]>();
    for (const rule of rules) {
      for (const verb of new Set(rule.verbs)) {
        const list = byVerb.get(verb);
        if (list) list.push(rule);
        else byVerb.set(verb, [rule]);
      }
    }
    this.#roles.set(roleKey(namespace, name), { rules, byVerb });
  }

  deleteRole(namespace: string, name: string): void {
    this.#roles.delete(roleKey(namespace, name));
  }

  putBinding(binding: BindingEntry): void {
    this.deleteBinding(binding.namespace, binding.name);
    this.#bindings.set(roleKey(binding.namespace, binding.name), binding);
    const { namespace, name, roleRef } = binding;
    for (const subject of binding.subjects) {
      const key = subjectKey(subject, namespace);
      if (key === undefined) continue;
      const byNamespace = getOrMake(this.#grants, key, () => new Map<string, Map<string, Grant>>());
      const byName = getOrMake(byNamespace, namespace, () => new Map<string, Grant>());
      // The first of several subjects that are one and the same names the reason.
      if (byName.has(name)) continue;
      byName.set(name, {
        binding,
        roleKey: roleKey(roleRef.kind === 'Role' ? namespace : '', roleRef.name),
        allowed: { allowed: true, reason: `RBAC: allowed by ${describeGrant(binding, subject)}`, told: '' },
      });
    }
  }

  deleteBinding(namespace: string, name: string): void {
    const binding = this.#bindings.get(roleKey(namespace, name));
    if (!binding) return;
    this.#bindings.delete(roleKey(namespace, name));
    for (const subject of binding.subjects) {
      const key = subjectKey(subject, namespace);
      const byNamespace = key === undefined ? undefined : this.#grants.get(key);
      const byName = byNamespace?.get(namespace);
      byName?.delete(name);
      if (byName?.size === 0) byNamespace!.delete(namespace);
      if (byNamespace?.size === 0) this.#grants.delete(key!);
    }
  }

  /** Allowed by the first rule that does; otherwise denied, telling which roles are bound and missing. */
  authorize(user: User, attributes: Attributes): Decision {
    let missing: Set<string> | undefined;
    for (const grant of this.#grantsOf(user, attributes.isResource ? attributes.namespace : '')) {
      const role = this.#roles.get(grant.roleKey);
      if (!role) (missing ??= new Set()).add(missingRole(grant.binding));
      else if (anyAllows(role.byVerb.get(attributes.verb) ?? none, attributes) || anyAllows(role.byVerb.get('*') ?? none, attributes)) {
        return grant.allowed;
      }
    }
    const told = missing ? `RBAC: ${joinErrors([...missing])}` : '';
    return { allowed: false, reason: told || 'RBAC: no rule of the roles bound to the user and its groups allows it', told };
  }

  /** Every rule that a user has in a namespace ('' for those that hold everywhere), and what could not be resolved. */
  rulesFor(user: User, namespace: string): { readonly rules: readonly PolicyRule[]; readonly errors: readonly string[] } {
    const rules: PolicyRule[] = [];
    const errors = new Set<string>();
    for (const { binding, roleKey: key } of this.#grantsOf(user, namespace)) {
      const role = this.#roles.get(key);
      if (role) rules.push(...role.rules);
      else errors.add(missingRole(binding));
    }
    return { rules, errors: [...errors] };
  }

  /** Rules of the role that a binding in `namespace` refers to; undefined when there is none. */
  rulesOf(roleRef: RoleRef, namespace: string): readonly PolicyRule[] | undefined {
    return this.#roles.get(roleKey(roleRef.kind === 'Role' ? namespace : '', roleRef.name))?.rules;
  }

  *#grantsOf(user: User, namespace: string): Generator<Grant> {
    // Bindings of the whole cluster first, as they are tried first in the reference: they decide whose reason is told.
    const owners = [this.#grants.get(`u:${user.name}`), ...user.groups.map((group) => this.#grants.get(`g:${group}`))];
    for (const owner of owners) yield* owner?.get('')?.values() ?? [];
    if (namespace) for (const owner of owners) yield* owner?.get(namespace)?.values() ?? [];
  }
}

function anyAllows(rules: readonly PolicyRule[], attributes: Attributes): boolean {
  for (const rule of rules) if (ruleAllows(rule, attributes)) return true;
  return false;
}

/** Several errors as Go's aggregate prints them. */
export const joinErrors = (errors: readonly string[]): string => (errors.length === 1 ? errors[0]! : `[${errors.join(', ')}]`);

const missingRole = ({ roleRef }: BindingEntry): string =>
  `${roleRef.kind === 'Role' ? 'role' : 'clusterrole'}.rbac.authorization.k8s.io ${JSON.stringify(roleRef.name)} not found`;

function subjectKey({ kind, name, namespace }: Subject, bindingNamespace: string): string | undefined {
  if (kind === 'User') return `u:${name}`;
  if (kind === 'Group') return `g:${name}`;
  const home = namespace || bindingNamespace;
  return kind === 'ServiceAccount' && home ? `u:${serviceAccountUserName(home, name)}` : undefined;
}

function describeGrant({ namespace, name, roleRef }: BindingEntry, subject: Subject): string {
  const binding = namespace ? `RoleBinding ${JSON.stringify(`${name}/${namespace}`)}` : `ClusterRoleBinding ${JSON.stringify(name)}`;
  const who = subject.kind === 'ServiceAccount' ? `${subject.name}/${subject.namespace || namespace}` : subject.name;
  return `${binding} of ${roleRef.kind} ${JSON.stringify(roleRef.name)} to ${subject.kind} ${JSON.stringify(who)}`;
}

function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}
