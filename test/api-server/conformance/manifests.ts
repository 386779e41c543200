/** One object of each kind that is served, as small as it is valid and telling: by the name that `kubectl get` takes. */

const labels = { app: 'web' };
const template = {
  metadata: { labels },
  spec: { containers: [{ name: 'main', image: 'registry.test/web:1', ports: [{ containerPort: 8080 }] }] },
};
const selector = { matchLabels: labels };
const rules = [{ apiGroups: [''], resources: ['pods'], verbs: ['get', 'list'] }];

/** Labelled apart from the others: whichever controller selects a pod without an owner adopts it. */
export const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', labels: { app: 'alone' } }, spec: template.spec };

export const deployment = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', labels },
  spec: { replicas: 2, selector, template },
};

export const service = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', labels },
  spec: { selector: labels, ports: [{ name: 'http', port: 80, targetPort: 8080, protocol: 'TCP' }] },
};

export const configMap = (data: Readonly<Record<string, string>>, name = 'settings') => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data,
});

/** A node without a kubelet, which nothing is scheduled to that does not tolerate its taint. */
export const node = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, labels: { 'kubernetes.io/hostname': name } },
  spec: { taints: [{ key: 'own', value: name, effect: 'NoSchedule' }] },
  status: {
    capacity: { cpu: '4', memory: '8Gi', pods: '110' },
    allocatable: { cpu: '4', memory: '8Gi', pods: '110' },
    conditions: [{ type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'ok' }],
    addresses: [{ type: 'InternalIP', address: '192.0.2.7' }],
  },
});

export interface Example {
  /** As kubectl names the object: `deployment.apps/web`. */
  readonly name: string;
  readonly object: object;
  /** Served from this minor version of Kubernetes on in this group-version. */
  readonly server?: number;
  readonly clusterScoped?: true;
  /** Something that `describe` says of it. */
  readonly described: RegExp;
}

export const examples: readonly Example[] = [
  { name: 'configmap/settings', object: configMap({ colour: 'blue' }), described: /Data\n====\ncolour:\n----\nblue\n/ },
  {
    name: 'secret/key',
    object: { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'key' }, stringData: { word: 'sesame' } },
    described: /Type: +Opaque\n\nData\n====\nword: +6 bytes\n/,
  },
  {
    name: 'serviceaccount/robot',
    object: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'robot' } },
    described: /Image pull secrets: +<none>\n/,
  },
  { name: 'pod/web', object: pod, described: /Containers:\n  main:\n[^]* +Image: +registry\.test\/web:1\n[^]* +Port: +8080\/TCP\n/ },
  {
    name: 'service/web',
    object: service,
    described: /Selector: +app=web\n[^]*IP: +10\.\S+\n[^]*Port: +http  80\/TCP\nTargetPort: +8080\/TCP\n/,
  },
  {
    name: 'endpoints/elsewhere',
    object: {
      apiVersion: 'v1',
      kind: 'Endpoints',
      metadata: { name: 'elsewhere' },
      subsets: [{ addresses: [{ ip: '192.0.2.9' }], ports: [{ name: 'http', port: 80 }] }],
    },
    described: /Subsets:\n  Addresses: +192\.0\.2\.9\n/,
  },
  {
    name: 'event/note',
    object: {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: 'note', namespace: '@ns' },
      involvedObject: { apiVersion: 'v1', kind: 'Pod', name: 'web', namespace: '@ns' },
      reason: 'Noted',
      message: 'something happened',
      type: 'Warning',
      source: { component: 'tester' },
      firstTimestamp: '2024-01-01T00:00:00Z',
      lastTimestamp: '2024-01-01T00:00:00Z',
      count: 1,
    },
    described: /Reason: +Noted\n/,
  },
  {
    name: 'deployment.apps/web',
    object: deployment,
    described: /Replicas: +2 desired \| [^]*StrategyType: +RollingUpdate\n[^]*RollingUpdateStrategy: +25% max unavailable, 25% max surge\n/,
  },
  {
    name: 'replicaset.apps/alone',
    object: { apiVersion: 'apps/v1', kind: 'ReplicaSet', metadata: { name: 'alone' }, spec: { replicas: 0, selector, template } },
    described: /Replicas: +0 current \/ 0 desired\n/,
  },
  {
    name: 'daemonset.apps/everywhere',
    object: {
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      metadata: { name: 'everywhere' },
      spec: { selector: { matchLabels: { app: 'd' } }, template: { ...template, metadata: { labels: { app: 'd' } } } },
    },
    described: /Desired Number of Nodes Scheduled: +\d+\n/,
  },
  {
    name: 'statefulset.apps/database',
    object: {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: { name: 'database' },
      spec: {
        serviceName: 'database',
        replicas: 1,
        selector: { matchLabels: { app: 's' } },
        template: { ...template, metadata: { labels: { app: 's' } } },
      },
    },
    described: /Replicas: +1 desired \| \d total\nUpdate Strategy: +RollingUpdate\n/,
  },
  {
    name: 'controllerrevision.apps/first',
    object: { apiVersion: 'apps/v1', kind: 'ControllerRevision', metadata: { name: 'first' }, data: { spec: {} }, revision: 1 },
    described: /Revision: +1\n/,
  },
  {
    name: 'endpointslice.discovery.k8s.io/slice',
    server: 21,
    object: {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'slice', labels: { 'kubernetes.io/service-name': 'elsewhere' } },
      addressType: 'IPv4',
      ports: [{ name: 'http', port: 80 }],
      endpoints: [{ addresses: ['192.0.2.10'], conditions: { ready: true } }],
    },
    described: /AddressType: +IPv4\n[^]*Addresses: +192\.0\.2\.10\n/,
  },
  {
    name: 'networkpolicy.networking.k8s.io/closed',
    object: {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'closed' },
      spec: { podSelector: selector, policyTypes: ['Ingress'], ingress: [{ from: [{ podSelector: {} }], ports: [{ port: 8080 }] }] },
    },
    described: /PodSelector: +app=web\n +Allowing ingress traffic:\n +To Port: 8080\/TCP\n/,
  },
  {
    name: 'ingress.networking.k8s.io/door',
    object: {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'Ingress',
      metadata: { name: 'door' },
      spec: {
        rules: [
          {
            host: 'door.test',
            http: { paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 'web', port: { number: 80 } } } }] },
          },
        ],
      },
    },
    described: /door\.test +\n +\/ +web:80/,
  },
  {
    name: 'lease.coordination.k8s.io/turn',
    object: {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: 'turn' },
      spec: { holderIdentity: 'me', leaseDurationSeconds: 10 },
    },
    described: /Holder Identity: +me\n/,
  },
  {
    name: 'role.rbac.authorization.k8s.io/reader',
    object: { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata: { name: 'reader' }, rules },
    described: /\n  pods +\[\] +\[\] +\[get list\]\n/,
  },
  {
    name: 'rolebinding.rbac.authorization.k8s.io/readers',
    object: {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name: 'readers' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'reader' },
      subjects: [{ kind: 'ServiceAccount', name: 'robot', namespace: '@ns' }],
    },
    described: /Kind: +Role\n +Name: +reader\n[^]* +ServiceAccount +robot +@ns\n/,
  },
  {
    name: 'namespace/@ns-more',
    object: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: '@ns-more' } },
    clusterScoped: true,
    described: /Status: +Active\n/,
  },
  {
    name: 'node/@ns-node',
    object: node('@ns-node'),
    clusterScoped: true,
    described: /Taints: +own=@ns-node:NoSchedule\n[^]*InternalIP: +192\.0\.2\.7\n[^]*Allocatable:\n +cpu: +4\n/,
  },
  {
    name: 'ingressclass.networking.k8s.io/@ns-class',
    object: {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'IngressClass',
      metadata: { name: '@ns-class' },
      spec: { controller: 'podwire.test/doors' },
    },
    clusterScoped: true,
    described: /Controller: +podwire\.test\/doors\n/,
  },
  {
    name: 'clusterrole.rbac.authorization.k8s.io/@ns-reader',
    object: { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name: '@ns-reader' }, rules },
    clusterScoped: true,
    described: /\n  pods +\[\] +\[\] +\[get list\]\n/,
  },
  {
    name: 'clusterrolebinding.rbac.authorization.k8s.io/@ns-readers',
    object: {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: '@ns-readers' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: '@ns-reader' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'nobody' }],
    },
    clusterScoped: true,
    described: /Kind: +ClusterRole\n +Name: +@ns-reader\n[^]* +User +nobody/,
  },
  {
    name: 'runtimeclass.node.k8s.io/@ns-runtime',
    object: { apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', metadata: { name: '@ns-runtime' }, handler: 'crun' },
    clusterScoped: true,
    described: /Handler: +crun\n/,
  },
  {
    name: 'csidriver.storage.k8s.io/@ns-driver',
    object: { apiVersion: 'storage.k8s.io/v1', kind: 'CSIDriver', metadata: { name: '@ns-driver' }, spec: { attachRequired: false } },
    clusterScoped: true,
    described: /Attach Required: +false\n/,
  },
  {
    name: 'csinode.storage.k8s.io/@ns-node',
    object: { apiVersion: 'storage.k8s.io/v1', kind: 'CSINode', metadata: { name: '@ns-node' }, spec: { drivers: [] } },
    clusterScoped: true,
    described: /Name: +@ns-node\n/,
  },
];
