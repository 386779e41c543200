import { apiVersionOf, type KubeObject, resources } from '../objects/client.ts';

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

interface Subject {
  readonly kind: 'User' | 'Group';
  readonly name: string;
}

/** Group of the agents' certificates: one identity a node, with the rights of all network daemons that the agent runs. */
export const agentsGroup = 'podwire:agents';
/** Group of the pod runners' certificates, as kubelets have it. */
export const nodesGroup = 'system:nodes';
/** User of the controllers. Not kube-controller-manager's, whose rights are other ones. */
export const controllersUser = 'podwire:controllers';

const apiVersion = apiVersionOf(resources.clusterRoles);
const apiGroup = resources.clusterRoles.group;

const rule = (verbs: string, group: string, names: string): Rule => ({
  apiGroups: [group],
  resources: names.split(' '),
  verbs: verbs.split(' '),
});
const watch = (group: string, names: string): Rule => rule('list watch', group, names);
const recordEvents: Rule = { apiGroups: ['', 'events.k8s.io'], resources: ['events'], verbs: ['create', 'patch', 'update'] };

/** What each network daemon of a node reads. None of them writes, and none sees Secrets or ConfigMaps. */
const daemonRules: Readonly<Record<string, readonly Rule[]>> = {
  'podwire:bgp': [watch('', 'nodes')],
  'podwire:cni': [watch('', 'nodes')],
  'podwire:dns': [watch('', 'services namespaces pods'), watch('discovery.k8s.io', 'endpointslices')],
  'podwire:netpol': [watch('', 'pods namespaces'), watch('networking.k8s.io', 'networkpolicies')],
};

/** What a pod runner does: a kubelet's part, without that of volumes and certificates it has no use for. */
const nodeRules: readonly Rule[] = [
  rule('create get list watch patch', '', 'nodes'),
  rule('patch', '', 'nodes/status'),
  rule('create delete get list watch', '', 'pods'),
  rule('patch', '', 'pods/status'),
  rule('get', '', 'configmaps secrets'),
  watch('', 'services'),
  rule('create', '', 'serviceaccounts/token'),
  recordEvents,
  // Who may exec into a pod or read its log is asked of the API server.
  rule('create', 'authentication.k8s.io', 'tokenreviews'),
  rule('create', 'authorization.k8s.io', 'subjectaccessreviews'),
];

const nodeLeaseRules: readonly Rule[] = [rule('create get update', 'coordination.k8s.io', 'leases')];

/**
 * What the controllers do. Garbage collection and the end of namespaces reach every kind of object; what is made, though, is of few kinds, and
 * neither roles nor tokens are among them.
 */
const controllersRules: readonly Rule[] = [
  rule('get list watch patch update delete deletecollection', '*', '*'),
  rule('create', '', 'configmaps endpoints pods pods/binding pods/eviction serviceaccounts'),
  // Endpoints may lead outside the cluster's pods; the slices follow the Endpoints.
  rule('create', 'discovery.k8s.io', 'endpointslices endpointslices/restricted'),
  rule('create', '', 'endpoints/restricted'),
  rule('create', 'apps', 'controllerrevisions replicasets'),
  rule('create', 'coordination.k8s.io', 'leases'),
  recordEvents,
];

/** The roles of the lab's own daemons, and who has them: the API server makes them when it starts. */
export function roleObjects(): KubeObject[] {
  return [
    ...Object.entries(daemonRules).flatMap(([name, rules]) => [
      clusterRole(name, rules),
      clusterRoleBinding(name, name, { kind: 'Group', name: agentsGroup }, { kind: 'User', name }),
    ]),
    clusterRoleBinding('podwire:proxy', 'system:node-proxier', { kind: 'Group', name: agentsGroup }),
    clusterRole('podwire:node', nodeRules),
    clusterRoleBinding('podwire:node', 'podwire:node', { kind: 'Group', name: nodesGroup }),
    ...leasesRole(),
    clusterRole('podwire:controllers', controllersRules),
    clusterRoleBinding('podwire:controllers', 'podwire:controllers', { kind: 'User', name: controllersUser }),
  ];
}

const metadata = (name: string, namespace?: string) => ({
  name,
  ...(namespace === undefined ? {} : { namespace }),
  labels: { 'app.kubernetes.io/managed-by': 'podwire' },
});

const clusterRole = (name: string, rules: readonly Rule[]): KubeObject =>
  ({ apiVersion, kind: 'ClusterRole', metadata: metadata(name), rules }) as KubeObject;

const clusterRoleBinding = (name: string, role: string, ...subjects: readonly Subject[]): KubeObject =>
  ({
    apiVersion,
    kind: 'ClusterRoleBinding',
    metadata: metadata(name),
    roleRef: { apiGroup, kind: 'ClusterRole', name: role },
    subjects: subjects.map((subject) => ({ ...subject, apiGroup })),
  }) as KubeObject;

/** Nodes renew their Leases, and touch no others. */
function leasesRole(): KubeObject[] {
  const at = metadata('podwire:node', 'kube-node-lease');
  return [
    { apiVersion, kind: 'Role', metadata: at, rules: nodeLeaseRules } as KubeObject,
    {
      apiVersion,
      kind: 'RoleBinding',
      metadata: at,
      roleRef: { apiGroup, kind: 'Role', name: at.name },
      subjects: [{ kind: 'Group', apiGroup, name: nodesGroup }],
    } as KubeObject,
  ];
}
