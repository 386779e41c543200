import type { PolicyRule } from '../authorization/policy-rule.ts';
import { allow, paths, read, readUpdate, readWrite, recordEvents, write } from './notation.ts';

const signer = (name: string): PolicyRule[] => [allow('approve', 'certificates', 'signers', `kubernetes.io/${name}`)];
const leaderElection = (name: string, verbs: string): PolicyRule[] => [
  allow('create', 'coordination', 'leases'),
  allow(verbs, 'coordination', 'leases', name),
];

/** What a kubelet may do; the node authorizer and NodeRestriction narrow it to its own node where they are at work. */
const node: readonly PolicyRule[] = [
  allow('create', 'authentication', 'tokenreviews'),
  allow('create', 'authorization', 'subjectaccessreviews localsubjectaccessreviews'),
  allow(read, 'core', 'services'),
  allow('create get list watch', 'core', 'nodes'),
  allow('update patch', 'core', 'nodes/status'),
  allow('update patch', 'core', 'nodes'),
  allow('create update patch', 'core', 'events'),
  allow(read, 'core', 'pods'),
  allow('create delete', 'core', 'pods'),
  allow('update patch', 'core', 'pods/status'),
  allow('create', 'core', 'pods/eviction'),
  allow(read, 'core', 'secrets configmaps'),
  allow('get', 'core', 'persistentvolumeclaims persistentvolumes'),
  allow('get', 'core', 'endpoints'),
  allow('create get list watch', 'certificates', 'certificatesigningrequests'),
  allow('get create update patch delete', 'coordination', 'leases'),
  allow('get', 'storage', 'volumeattachments'),
  allow('create', 'core', 'serviceaccounts/token'),
  allow('get update patch', 'core', 'persistentvolumeclaims/status'),
  allow(read, 'storage', 'csidrivers'),
  allow('get create update patch delete', 'storage', 'csinodes'),
  allow(read, 'node', 'runtimeclasses'),
];

const scheduler: readonly PolicyRule[] = [
  recordEvents,
  ...leaderElection('kube-scheduler', 'get list update watch'),
  allow(read, 'core', 'nodes'),
  allow('get list watch delete', 'core', 'pods'),
  allow('create', 'core', 'pods/binding bindings'),
  allow('patch update', 'core', 'pods/status'),
  allow(read, 'core', 'services replicationcontrollers'),
  allow(read, 'apps extensions', 'replicasets'),
  allow(read, 'apps', 'statefulsets'),
  allow(read, 'policy', 'poddisruptionbudgets'),
  allow(read, 'core', 'persistentvolumeclaims persistentvolumes'),
  allow('create', 'authentication', 'tokenreviews'),
  allow('create', 'authorization', 'subjectaccessreviews'),
  allow(read, 'storage', 'csinodes'),
  allow(read, 'core', 'namespaces'),
  allow(read, 'storage', 'csidrivers'),
  allow(read, 'storage', 'csistoragecapacities'),
];

/** What edit and admin are made of, besides what they take over from the role below them. */
const aggregateToEdit: readonly PolicyRule[] = [
  allow(read, 'core', 'pods/attach pods/proxy pods/exec pods/portforward secrets services/proxy'),
  allow('impersonate', 'core', 'serviceaccounts'),
  allow(write, 'core', 'pods pods/attach pods/proxy pods/exec pods/portforward'),
  allow('create', 'core', 'pods/eviction'),
  allow(
    write,
    'core',
    'replicationcontrollers replicationcontrollers/scale serviceaccounts services services/proxy persistentvolumeclaims configmaps secrets events',
  ),
  allow('create', 'core', 'serviceaccounts/token'),
  allow(
    write,
    'apps',
    'statefulsets statefulsets/scale daemonsets deployments deployments/scale deployments/rollback replicasets replicasets/scale',
  ),
  allow(write, 'autoscaling', 'horizontalpodautoscalers'),
  allow(write, 'batch', 'jobs cronjobs'),
  allow(
    write,
    'extensions',
    'daemonsets deployments deployments/scale deployments/rollback ingresses replicasets replicasets/scale replicationcontrollers/scale networkpolicies',
  ),
  allow(write, 'policy', 'poddisruptionbudgets'),
  allow(write, 'networking', 'networkpolicies ingresses'),
  allow(readWrite, 'coordination', 'leases'),
];

const aggregateToView: readonly PolicyRule[] = [
  allow(
    read,
    'core',
    'pods replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status endpoints persistentvolumeclaims persistentvolumeclaims/status configmaps',
  ),
  allow(
    read,
    'core',
    'limitranges resourcequotas bindings events pods/status resourcequotas/status namespaces/status replicationcontrollers/status pods/log',
  ),
  allow(read, 'core', 'namespaces'),
  allow(read, 'discovery', 'endpointslices'),
  allow(
    read,
    'apps',
    'controllerrevisions statefulsets statefulsets/status statefulsets/scale daemonsets daemonsets/status deployments deployments/status deployments/scale replicasets replicasets/status replicasets/scale',
  ),
  allow(read, 'autoscaling', 'horizontalpodautoscalers horizontalpodautoscalers/status'),
  allow(read, 'batch', 'jobs cronjobs cronjobs/status jobs/status'),
  allow(
    read,
    'extensions',
    'daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses ingresses/status replicasets replicasets/scale replicasets/status replicationcontrollers/scale networkpolicies',
  ),
  allow(read, 'policy', 'poddisruptionbudgets poddisruptionbudgets/status'),
  allow(read, 'networking', 'networkpolicies ingresses ingresses/status'),
];

/** A role without rules of its own gathers those of all roles with the label `rbac.authorization.k8s.io/aggregate-to-ROLE=true`. */
export interface DefaultRole {
  readonly name: string;
  readonly rules: readonly PolicyRule[];
  /** Roles that take over these rules. */
  readonly aggregateTo?: string;
  readonly aggregates?: string;
}

/** The cluster roles that every cluster has (the reference's bootstrap policy of 1.33, for the API groups that have left alpha and beta). */
export const defaultClusterRoles: readonly DefaultRole[] = [
  { name: 'cluster-admin', rules: [allow('*', '*', '*'), paths('*', '*')] },
  { name: 'admin', rules: [], aggregates: 'admin' },
  { name: 'edit', rules: [], aggregates: 'edit', aggregateTo: 'admin' },
  { name: 'view', rules: [], aggregates: 'view', aggregateTo: 'edit' },
  {
    name: 'system:aggregate-to-admin',
    aggregateTo: 'admin',
    rules: [allow('create', 'authorization', 'localsubjectaccessreviews'), allow(readWrite, 'rbac', 'roles rolebindings')],
  },
  { name: 'system:aggregate-to-edit', aggregateTo: 'edit', rules: aggregateToEdit },
  { name: 'system:aggregate-to-view', aggregateTo: 'view', rules: aggregateToView },
  {
    name: 'system:discovery',
    rules: [paths('/livez /readyz /healthz /version /version/ /openapi /openapi/* /api /api/* /apis /apis/*')],
  },
  {
    name: 'system:monitoring',
    rules: [paths('/metrics /metrics/slis /livez /readyz /healthz /livez/* /readyz/* /healthz/*')],
  },
  {
    name: 'system:basic-user',
    rules: [
      allow('create', 'authorization', 'selfsubjectaccessreviews selfsubjectrulesreviews'),
      allow('create', 'authentication', 'selfsubjectreviews'),
    ],
  },
  { name: 'system:public-info-viewer', rules: [paths('/livez /readyz /healthz /version /version/')] },
  {
    name: 'system:service-account-issuer-discovery',
    rules: [paths('/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/')],
  },
  { name: 'system:node', rules: node },
  {
    name: 'system:node-proxier',
    rules: [
      allow('list watch', 'core', 'services endpoints'),
      allow(read, 'core', 'nodes'),
      recordEvents,
      allow('list watch', 'discovery', 'endpointslices'),
    ],
  },
  { name: 'system:kube-scheduler', rules: scheduler },
  {
    name: 'system:volume-scheduler',
    rules: [
      allow(readUpdate, 'core', 'persistentvolumes'),
      allow(read, 'storage', 'storageclasses'),
      allow(readUpdate, 'core', 'persistentvolumeclaims'),
    ],
  },
  {
    name: 'system:kube-controller-manager',
    rules: [
      recordEvents,
      ...leaderElection('kube-controller-manager', 'get update'),
      allow('create', 'core', 'secrets serviceaccounts'),
      allow('delete', 'core', 'secrets'),
      allow('get', 'core', 'namespaces secrets serviceaccounts configmaps'),
      allow('update', 'core', 'secrets serviceaccounts'),
      allow('create', 'authentication', 'tokenreviews'),
      allow('create', 'authorization', 'subjectaccessreviews'),
      allow('list watch', '*', '*'),
      allow('create', 'core', 'serviceaccounts/token'),
    ],
  },
  {
    name: 'system:auth-delegator',
    rules: [allow('create', 'authentication', 'tokenreviews'), allow('create', 'authorization', 'subjectaccessreviews')],
  },
  { name: 'system:kube-aggregator', rules: [allow(read, 'core', 'services endpoints')] },
  { name: 'system:kube-dns', rules: [allow('list watch', 'core', 'endpoints services')] },
  {
    name: 'system:heapster',
    rules: [allow(read, 'core', 'events pods nodes namespaces'), allow(read, 'extensions', 'deployments')],
  },
  {
    name: 'system:node-problem-detector',
    rules: [allow('get', 'core', 'nodes'), allow('patch', 'core', 'nodes/status'), recordEvents],
  },
  {
    name: 'system:kubelet-api-admin',
    rules: [
      allow(read, 'core', 'nodes'),
      allow('proxy', 'core', 'nodes'),
      allow('*', 'core', 'nodes/proxy nodes/metrics nodes/stats nodes/log'),
    ],
  },
  { name: 'system:node-bootstrapper', rules: [allow('create get list watch', 'certificates', 'certificatesigningrequests')] },
  {
    name: 'system:persistent-volume-provisioner',
    rules: [
      allow('get list watch create delete', 'core', 'persistentvolumes'),
      allow('get list watch update', 'core', 'persistentvolumeclaims'),
      allow(read, 'storage', 'storageclasses'),
      allow('watch', 'core', 'events'),
      recordEvents,
    ],
  },
  {
    name: 'system:certificates.k8s.io:certificatesigningrequests:nodeclient',
    rules: [allow('create', 'certificates', 'certificatesigningrequests/nodeclient')],
  },
  {
    name: 'system:certificates.k8s.io:certificatesigningrequests:selfnodeclient',
    rules: [allow('create', 'certificates', 'certificatesigningrequests/selfnodeclient')],
  },
  { name: 'system:certificates.k8s.io:legacy-unknown-approver', rules: signer('legacy-unknown') },
  { name: 'system:certificates.k8s.io:kubelet-serving-approver', rules: signer('kubelet-serving') },
  { name: 'system:certificates.k8s.io:kube-apiserver-client-approver', rules: signer('kube-apiserver-client') },
  { name: 'system:certificates.k8s.io:kube-apiserver-client-kubelet-approver', rules: signer('kube-apiserver-client-kubelet') },
];
