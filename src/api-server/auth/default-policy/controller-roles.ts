import type { PolicyRule } from '../authorization/policy-rule.ts';
import { allow, read, recordEvents } from './notation.ts';

/** Reads and keeps up to date objects of a group that moved from extensions to apps. */
const workload = (plural: string, verbs: string): PolicyRule[] => [
  allow(verbs, 'apps extensions', plural),
  allow('update', 'apps extensions', `${plural}/status`),
  allow('update', 'apps extensions', `${plural}/finalizers`),
];
const managePods = allow('list watch patch create delete', 'core', 'pods');
const revisions = allow('get create delete update patch list watch', 'apps', 'controllerrevisions');
const everySigner =
  'kubernetes.io/kube-apiserver-client kubernetes.io/kube-apiserver-client-kubelet kubernetes.io/kubelet-serving kubernetes.io/legacy-unknown';

/**
 * What each loop of a kube-controller-manager may do that runs with `--use-service-account-credentials`: the cluster role
 * `system:controller:NAME`, bound to the ServiceAccount NAME in kube-system.
 */
export const controllerRules: Readonly<Record<string, readonly PolicyRule[]>> = {
  'attachdetach-controller': [
    allow('list watch', 'core', 'persistentvolumes persistentvolumeclaims'),
    allow(read, 'core', 'nodes'),
    allow('patch update', 'core', 'nodes/status'),
    allow('list watch', 'core', 'pods'),
    recordEvents,
    allow('get create delete list watch', 'storage', 'volumeattachments'),
    allow(read, 'storage', 'csidrivers'),
    allow(read, 'storage', 'csinodes'),
  ],
  'certificate-controller': [
    allow('get list watch delete', 'certificates', 'certificatesigningrequests'),
    allow('update', 'certificates', 'certificatesigningrequests/status certificatesigningrequests/approval'),
    allow('approve', 'certificates', 'signers', 'kubernetes.io/kube-apiserver-client-kubelet'),
    allow('sign', 'certificates', 'signers', everySigner),
    allow('create', 'authorization', 'subjectaccessreviews'),
    recordEvents,
  ],
  'clusterrole-aggregation-controller': [allow('escalate get list watch update patch', 'rbac', 'clusterroles')],
  'cronjob-controller': [
    allow('get list watch update', 'batch', 'cronjobs'),
    allow('get list watch create update delete patch', 'batch', 'jobs'),
    allow('update', 'batch', 'cronjobs/status'),
    allow('update', 'batch', 'cronjobs/finalizers'),
    allow('list delete watch', 'core', 'pods'),
    recordEvents,
  ],
  'daemon-set-controller': [
    ...workload('daemonsets', read),
    allow('list watch', 'core', 'nodes'),
    managePods,
    allow('create', 'core', 'pods/binding'),
    revisions,
    recordEvents,
  ],
  'deployment-controller': [
    ...workload('deployments', 'get list watch update'),
    allow('get list watch create update patch delete', 'apps extensions', 'replicasets'),
    allow('get list watch update', 'core', 'pods'),
    recordEvents,
  ],
  'disruption-controller': [
    allow(read, 'apps extensions', 'deployments'),
    allow(read, 'apps extensions', 'replicasets'),
    allow(read, 'core', 'replicationcontrollers'),
    allow(read, 'policy', 'poddisruptionbudgets'),
    allow(read, 'apps', 'statefulsets'),
    allow('update', 'policy', 'poddisruptionbudgets/status'),
    allow('patch update', 'core', 'pods/status'),
    allow('get', '*', '*/scale'),
    recordEvents,
  ],
  'endpoint-controller': [
    allow(read, 'core', 'services pods'),
    allow('get list create update delete watch', 'core', 'endpoints'),
    allow('create', 'core', 'endpoints/restricted'),
    recordEvents,
  ],
  'endpointslice-controller': [
    allow(read, 'core', 'services pods nodes'),
    allow('update', 'core', 'services/finalizers'),
    allow('get list create update delete watch', 'discovery', 'endpointslices'),
    recordEvents,
  ],
  'endpointslicemirroring-controller': [
    allow(read, 'core', 'services endpoints'),
    allow('update', 'core', 'services/finalizers'),
    allow('update', 'core', 'endpoints/finalizers'),
    allow('get list create update delete watch', 'discovery', 'endpointslices'),
    recordEvents,
  ],
  'ephemeral-volume-controller': [
    allow(read, 'core', 'pods'),
    allow('update', 'core', 'pods/finalizers'),
    allow('get list watch create', 'core', 'persistentvolumeclaims'),
    recordEvents,
  ],
  'expand-controller': [
    allow('get list watch update patch', 'core', 'persistentvolumes'),
    allow('update patch', 'core', 'persistentvolumeclaims/status'),
    allow(read, 'core', 'persistentvolumeclaims'),
    recordEvents,
  ],
  'generic-garbage-collector': [allow('get list watch patch update delete', '*', '*'), recordEvents],
  'horizontal-pod-autoscaler': [
    allow(read, 'autoscaling', 'horizontalpodautoscalers'),
    allow('update', 'autoscaling', 'horizontalpodautoscalers/status'),
    allow('get update', '*', '*/scale'),
    allow('list watch', 'core', 'pods'),
    allow('list watch', 'metrics', 'pods'),
    allow(read, 'custom.metrics', '*'),
    allow(read, 'external.metrics', '*'),
    recordEvents,
  ],
  'job-controller': [
    allow('get list watch update patch', 'batch', 'jobs'),
    allow('update', 'batch', 'jobs/status'),
    allow('update', 'batch', 'jobs/finalizers'),
    managePods,
    recordEvents,
  ],
  'legacy-service-account-token-cleaner': [
    allow('get', 'core', 'configmaps', 'kube-apiserver-legacy-service-account-token-tracking'),
    allow('patch delete', 'core', 'secrets'),
  ],
  'namespace-controller': [
    allow('get list watch delete', 'core', 'namespaces'),
    allow('update', 'core', 'namespaces/finalize namespaces/status'),
    allow('get list watch delete deletecollection', '*', '*'),
  ],
  'node-controller': [
    allow('get list update delete patch watch', 'core', 'nodes'),
    allow('patch update', 'core', 'nodes/status'),
    allow('patch update', 'core', 'pods/status'),
    allow('get list watch delete', 'core', 'pods'),
    allow(read, 'coordination', 'leases'),
    recordEvents,
  ],
  'persistent-volume-binder': [
    allow('get list watch update create delete', 'core', 'persistentvolumes'),
    allow('update', 'core', 'persistentvolumes/status'),
    allow('get list watch update', 'core', 'persistentvolumeclaims'),
    allow('update', 'core', 'persistentvolumeclaims/status'),
    allow('list watch get create delete', 'core', 'pods'),
    allow(read, 'storage', 'storageclasses'),
    allow('list watch', 'core', 'nodes'),
    allow('watch', 'core', 'events'),
    recordEvents,
  ],
  'pod-garbage-collector': [
    allow('list watch delete', 'core', 'pods'),
    allow(read, 'core', 'nodes'),
    allow('patch', 'core', 'pods/status'),
  ],
  'pv-protection-controller': [allow('get list watch update', 'core', 'persistentvolumes'), recordEvents],
  'pvc-protection-controller': [
    allow('get list watch update', 'core', 'persistentvolumeclaims'),
    allow(read, 'core', 'pods'),
    recordEvents,
  ],
  'replicaset-controller': [...workload('replicasets', 'get list watch update'), managePods, recordEvents],
  'replication-controller': [
    allow('get list watch update', 'core', 'replicationcontrollers'),
    allow('update', 'core', 'replicationcontrollers/status'),
    allow('update', 'core', 'replicationcontrollers/finalizers'),
    managePods,
    recordEvents,
  ],
  'resourcequota-controller': [allow('list watch', '*', '*'), allow('update', 'core', 'resourcequotas/status'), recordEvents],
  'root-ca-cert-publisher': [allow('create update', 'core', 'configmaps'), recordEvents],
  'route-controller': [allow('list watch', 'core', 'nodes'), allow('patch', 'core', 'nodes/status'), recordEvents],
  'service-account-controller': [allow('create', 'core', 'serviceaccounts'), recordEvents],
  'service-controller': [
    allow(read, 'core', 'services'),
    allow('patch update', 'core', 'services/status'),
    allow('list watch', 'core', 'nodes'),
    recordEvents,
  ],
  'statefulset-controller': [
    allow('list watch', 'core', 'pods'),
    allow(read, 'apps', 'statefulsets'),
    allow('update', 'apps', 'statefulsets/status'),
    allow('update', 'apps', 'statefulsets/finalizers'),
    allow('get create delete update patch', 'core', 'pods'),
    revisions,
    allow('get create delete update list watch', 'core', 'persistentvolumeclaims'),
    recordEvents,
  ],
  'ttl-after-finished-controller': [allow('get list watch delete', 'batch', 'jobs'), recordEvents],
  'ttl-controller': [allow('update patch list watch', 'core', 'nodes'), recordEvents],
};
