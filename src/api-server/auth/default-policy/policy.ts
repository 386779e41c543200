import { type AnyObject, apiVersionOf, resources } from '../../../objects/index.ts';
import type { Subject } from '../authorization/rbac-index.ts';
import type { PolicyRule } from '../authorization/policy-rule.ts';
import { defaultClusterRoles } from './cluster-roles.ts';
import { controllerRules } from './controller-roles.ts';
import { allow, recordEvents } from './notation.ts';

/** Roles and bindings that every cluster has, as objects. */
export interface DefaultPolicy {
  readonly clusterRoles: readonly AnyObject[];
  readonly clusterRoleBindings: readonly AnyObject[];
  readonly roles: readonly AnyObject[];
  readonly roleBindings: readonly AnyObject[];
}

const rbacGroup = resources.roles.group;
const apiVersion = apiVersionOf(resources.roles);
const controllerPrefix = 'system:controller:';

/** A role that has it set to "false" is left as it is when the server starts. */
export const autoUpdateAnnotation = 'rbac.authorization.kubernetes.io/autoupdate';

const metadata = (name: string, namespace = '', labels: Record<string, string> = {}) => ({
  name,
  ...(namespace ? { namespace } : {}),
  labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults', ...labels },
  annotations: { [autoUpdateAnnotation]: 'true' },
});
const aggregateLabel = (role: string): string => `rbac.authorization.k8s.io/aggregate-to-${role}`;

const user = (name: string): Subject & { apiGroup: string } => ({ kind: 'User', apiGroup: rbacGroup, name });
const group = (name: string): Subject & { apiGroup: string } => ({ kind: 'Group', apiGroup: rbacGroup, name });
const account = (name: string): Subject => ({ kind: 'ServiceAccount', name, namespace: 'kube-system' });

const clusterRole = (name: string, rules: readonly PolicyRule[], labels: Record<string, string>, aggregates?: string): AnyObject => ({
  apiVersion,
  kind: 'ClusterRole',
  metadata: metadata(name, '', labels),
  rules: [...rules],
  ...(aggregates ? { aggregationRule: { clusterRoleSelectors: [{ matchLabels: { [aggregateLabel(aggregates)]: 'true' } }] } } : {}),
});

const clusterRoleBinding = (name: string, ...subjects: Subject[]): AnyObject => ({
  apiVersion,
  kind: 'ClusterRoleBinding',
  metadata: metadata(name),
  roleRef: { apiGroup: rbacGroup, kind: 'ClusterRole', name },
  ...(subjects.length > 0 ? { subjects } : {}),
});

const clusterSubjects: Readonly<Record<string, readonly Subject[]>> = {
  'cluster-admin': [group('system:masters')],
  'system:monitoring': [group('system:monitoring')],
  'system:discovery': [group('system:authenticated')],
  'system:basic-user': [group('system:authenticated')],
  'system:public-info-viewer': [group('system:authenticated'), group('system:unauthenticated')],
  'system:node-proxier': [user('system:kube-proxy')],
  'system:kube-controller-manager': [user('system:kube-controller-manager')],
  'system:kube-dns': [account('kube-dns')],
  'system:kube-scheduler': [user('system:kube-scheduler')],
  'system:volume-scheduler': [user('system:kube-scheduler')],
  'system:service-account-issuer-discovery': [group('system:serviceaccounts')],
  // Kept without subjects, as in the reference: nodes get their rights from the node authorizer, or from a binding of the cluster's own.
  'system:node': [],
};

interface NamespacedRole {
  readonly namespace: string;
  readonly name: string;
  readonly rules: readonly PolicyRule[];
  readonly subjects: readonly Subject[];
  /** The binding's name, when it is not the role's. */
  readonly binding?: string;
}

const leaderLocking = (component: string): NamespacedRole => ({
  namespace: 'kube-system',
  name: `system::leader-locking-${component}`,
  rules: [allow('watch', 'core', 'configmaps'), allow('get update', 'core', 'configmaps', component)],
  subjects: [user(`system:${component}`), account(component)],
});

const namespacedRoles: readonly NamespacedRole[] = [
  {
    namespace: 'kube-system',
    name: 'extension-apiserver-authentication-reader',
    binding: 'system::extension-apiserver-authentication-reader',
    rules: [allow('get list watch', 'core', 'configmaps', 'extension-apiserver-authentication')],
    subjects: [user('system:kube-controller-manager'), user('system:kube-scheduler')],
  },
  leaderLocking('kube-controller-manager'),
  leaderLocking('kube-scheduler'),
  {
    namespace: 'kube-system',
    name: `${controllerPrefix}bootstrap-signer`,
    rules: [allow('get list watch', 'core', 'secrets')],
    subjects: [account('bootstrap-signer')],
  },
  {
    namespace: 'kube-system',
    name: `${controllerPrefix}cloud-provider`,
    rules: [allow('create get list watch', 'core', 'configmaps')],
    subjects: [account('cloud-provider')],
  },
  {
    namespace: 'kube-system',
    name: `${controllerPrefix}token-cleaner`,
    rules: [allow('get list watch delete', 'core', 'secrets'), recordEvents],
    subjects: [account('token-cleaner')],
  },
  {
    namespace: 'kube-public',
    name: `${controllerPrefix}bootstrap-signer`,
    rules: [allow('get list watch', 'core', 'configmaps'), allow('update', 'core', 'configmaps', 'cluster-info'), recordEvents],
    subjects: [account('bootstrap-signer')],
  },
];

/** The reference's bootstrap policy. */
export function defaultPolicy(): DefaultPolicy {
  const controllers = Object.entries(controllerRules);
  return {
    clusterRoles: [
      ...defaultClusterRoles.map(({ name, rules, aggregateTo, aggregates }) =>
        clusterRole(name, rules, aggregateTo ? { [aggregateLabel(aggregateTo)]: 'true' } : {}, aggregates),
      ),
      ...controllers.map(([name, rules]) => clusterRole(`${controllerPrefix}${name}`, rules, {})),
    ],
    clusterRoleBindings: [
      ...Object.entries(clusterSubjects).map(([name, subjects]) => clusterRoleBinding(name, ...subjects)),
      ...controllers.map(([name]) => clusterRoleBinding(`${controllerPrefix}${name}`, account(name))),
    ],
    roles: namespacedRoles.map(({ namespace, name, rules }) => ({
      apiVersion,
      kind: 'Role',
      metadata: metadata(name, namespace),
      rules: [...rules],
    })),
    roleBindings: namespacedRoles.map(({ namespace, name, binding = name, subjects }) => ({
      apiVersion,
      kind: 'RoleBinding',
      metadata: metadata(binding, namespace),
      roleRef: { apiGroup: rbacGroup, kind: 'Role', name },
      subjects: [...subjects],
    })),
  };
}
