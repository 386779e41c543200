// What is wrong with objects, as a real API server says it: the fields at fault and how each text begins.

export interface ValidationCase {
  readonly kind: string;
  /** The object without apiVersion, kind and metadata; of a kind with one, only its spec is given. */
  readonly spec?: object;
  readonly fields?: object;
  readonly metadata?: object;
  /** `field: beginning of the text`, all of them, in any order. */
  readonly wrong: readonly string[];
}

const container = (more: object): object => ({ containers: [{ name: 'c', image: 'i', ...more }] });
const pod = (more: object): object => ({ ...container({}), ...more });
const labels = { a: 'b' };
const workload = (more: object): object => ({
  selector: { matchLabels: labels },
  template: { metadata: { labels }, spec: container({}) },
  ...more,
});
const backend = { service: { name: 's', port: { number: 80 } } };
const c = 'spec.containers[0]';
const terms = 'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms';
const podTerms = 'spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution';

export const validationCases: readonly ValidationCase[] = [
  // Containers.
  {
    kind: 'Pod',
    spec: container({ terminationMessagePolicy: 'X' }),
    wrong: [`${c}.terminationMessagePolicy: Invalid value: "X": must be 'File'`],
  },
  {
    kind: 'Pod',
    spec: container({
      env: [
        { name: 'a', valueFrom: {} },
        { name: 'b', value: 'c', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      ],
    }),
    wrong: [
      `${c}.env[0].valueFrom: Invalid value: "": must specify one of`,
      `${c}.env[1].valueFrom: Invalid value: "": may not be specified when \`value\` is not empty`,
    ],
  },
  {
    kind: 'Pod',
    spec: container({
      env: [
        { name: 'a', valueFrom: { fieldRef: { fieldPath: 'spec.foo' } } },
        { name: 'b', valueFrom: { configMapKeyRef: { name: 'a' } } },
        { name: 'c', valueFrom: { secretKeyRef: { key: 'a' } } },
        { name: 'd', valueFrom: { resourceFieldRef: { resource: 'limits.foo' } } },
      ],
    }),
    wrong: [
      `${c}.env[0].valueFrom.fieldRef.fieldPath: Invalid value: "spec.foo": error converting fieldPath: field label not supported: spec.foo`,
      `${c}.env[1].valueFrom.configMapKeyRef.key: Required value`,
      `${c}.env[2].valueFrom.secretKeyRef.name: Invalid value: "": a lowercase RFC 1123 subdomain`,
      `${c}.env[3].valueFrom.resourceFieldRef.resource: Unsupported value: "limits.foo": supported values: "limits.cpu"`,
    ],
  },
  {
    kind: 'Pod',
    spec: container({ envFrom: [{}, { configMapRef: {} }] }),
    wrong: [`${c}.envFrom: Invalid value: "": must specify one of`, `${c}.envFrom[1].configMapRef.name: Required value`],
  },
  {
    kind: 'Pod',
    spec: {
      volumes: [{ name: 'v', emptyDir: {} }],
      ...container({ volumeMounts: [{ mountPath: '' }, { name: 'v', mountPath: '/a', subPath: '../x' }, { name: 'v', mountPath: '/a' }] }),
    },
    wrong: [
      `${c}.volumeMounts[0].name: Required value`,
      `${c}.volumeMounts[0].name: Not found: ""`,
      `${c}.volumeMounts[0].mountPath: Required value`,
      `${c}.volumeMounts.subPath: Invalid value: "../x": must not contain '..'`,
      `${c}.volumeMounts[2].mountPath: Invalid value: "/a": must be unique`,
    ],
  },
  {
    kind: 'Pod',
    spec: container({ resources: { limits: { cpu: '1', foo: '1' }, requests: { cpu: '2', foo: '1' } } }),
    wrong: [
      `${c}.resources.limits[foo]: Invalid value: "foo": must be a standard resource type or fully qualified`,
      `${c}.resources.limits[foo]: Invalid value: "foo": must be a standard resource for containers`,
      `${c}.resources.requests[foo]: Invalid value: "foo": must be a standard resource type or fully qualified`,
      `${c}.resources.requests[foo]: Invalid value: "foo": must be a standard resource for containers`,
      `${c}.resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1`,
    ],
  },
  {
    kind: 'Pod',
    spec: container({ resources: { limits: { cpu: '-1', 'hugepages-2Mi': '2Mi', 'example.com/gpu': '1500m' } } }),
    wrong: [
      ...['limits', 'requests'].flatMap((list) => [
        `${c}.resources.${list}[cpu]: Invalid value: "-1": must be greater than or equal to 0`,
        `${c}.resources.${list}[example.com/gpu]: Invalid value: "1500m": must be an integer`,
      ]),
    ],
  },
  {
    kind: 'Pod',
    spec: container({ resources: { requests: { 'hugepages-2Mi': '2Mi' } } }),
    wrong: [
      `${c}.resources.limits: Required value: Limit must be set for non overcommitable resources`,
      `${c}.resources: Forbidden: HugePages require cpu or memory`,
    ],
  },
  { kind: 'Pod', spec: container({ livenessProbe: {} }), wrong: [`${c}.livenessProbe: Required value: must specify a handler type`] },
  {
    kind: 'Pod',
    spec: container({ livenessProbe: { httpGet: { port: 80, scheme: 'X', httpHeaders: [{ name: 'a b', value: '' }] } } }),
    wrong: [
      `${c}.livenessProbe.httpGet.scheme: Unsupported value: "X": supported values: "HTTP", "HTTPS"`,
      `${c}.livenessProbe.httpGet.httpHeaders: Invalid value: "a b": a valid HTTP header`,
    ],
  },
  {
    kind: 'Pod',
    spec: container({ lifecycle: { preStop: {}, postStart: { exec: {} } } }),
    wrong: [`${c}.lifecycle.preStop: Required value: must specify a handler type`, `${c}.lifecycle.postStart.exec.command: Required value`],
  },
  {
    kind: 'Pod',
    spec: container({ securityContext: { runAsUser: -1, privileged: true, allowPrivilegeEscalation: false } }),
    wrong: [
      `${c}.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive`,
      `${c}.securityContext: Invalid value: {`,
    ],
  },
  {
    kind: 'Pod',
    spec: pod({ initContainers: [{ name: 'c', image: 'i', livenessProbe: { exec: { command: ['a'] } } }] }),
    wrong: [
      'spec.initContainers[0].name: Duplicate value: "c"',
      'spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always',
    ],
  },
  // Pods.
  { kind: 'Pod', spec: pod({ terminationGracePeriodSeconds: -1 }), wrong: [] },
  {
    kind: 'Pod',
    spec: pod({ dnsPolicy: 'None', dnsConfig: {} }),
    wrong: ['spec.dnsConfig.nameservers: Required value: must provide at least one'],
  },
  { kind: 'Pod', spec: pod({ dnsConfig: { options: [{}] } }), wrong: ['spec.dnsConfig.options[0]: Required value: must not be empty'] },
  {
    kind: 'Pod',
    spec: pod({
      volumes: [{ name: 'B_' }, { emptyDir: {} }, { name: 'x', emptyDir: {}, hostPath: { path: '/a' } }, { name: 'x', hostPath: {} }],
    }),
    wrong: [
      'spec.volumes[0].name: Invalid value: "B_": a lowercase RFC 1123 label',
      'spec.volumes[1].name: Required value',
      'spec.volumes[2].hostPath: Forbidden: may not specify more than 1 volume type',
      'spec.volumes[3].hostPath.path: Required value',
      'spec.volumes[3].name: Duplicate value: "x"',
    ],
  },
  {
    kind: 'Pod',
    spec: pod({
      volumes: [
        { name: 'a', configMap: {} },
        { name: 'b', secret: {} },
        { name: 'c', nfs: {} },
        { name: 'd', downwardAPI: { items: [{ path: 'a' }] } },
      ],
    }),
    wrong: [
      'spec.volumes[0].configMap.name: Required value',
      'spec.volumes[1].secret.secretName: Required value',
      'spec.volumes[2].nfs.server: Required value',
      'spec.volumes[2].nfs.path: Required value',
      'spec.volumes[2].nfs.path: Invalid value: "": must be an absolute path',
      'spec.volumes[3].downwardAPI: Required value: one of fieldRef and resourceFieldRef is required',
    ],
  },
  {
    kind: 'Pod',
    spec: pod({ affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: {} } } }),
    wrong: [`${terms}: Required value: must have at least one node selector term`],
  },
  {
    kind: 'Pod',
    spec: pod({
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [
              {
                matchExpressions: [
                  { key: 'a', operator: 'X' },
                  { key: 'a', operator: 'In' },
                  { key: 'a', operator: 'Exists', values: ['b'] },
                  { key: 'a', operator: 'Gt', values: ['b', 'c'] },
                ],
              },
            ],
          },
        },
      },
    }),
    wrong: [
      `${terms}[0].matchExpressions[0].operator: Invalid value: "X": not a valid selector operator`,
      `${terms}[0].matchExpressions[1].values: Required value: must be specified when`,
      `${terms}[0].matchExpressions[2].values: Forbidden: may not be specified when`,
      `${terms}[0].matchExpressions[3].values: Required value: must be specified single value when`,
    ],
  },
  {
    kind: 'Pod',
    spec: pod({ affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'a b' }] } } }),
    wrong: [`${podTerms}[0].topologyKey: Invalid value: "a b": name part`],
  },
  {
    kind: 'Pod',
    spec: pod({ topologySpreadConstraints: [{ maxSkew: 0, topologyKey: '', whenUnsatisfiable: 'X' }] }),
    wrong: [
      'spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero',
      'spec.topologySpreadConstraints[0].topologyKey: Required value: can not be empty',
      'spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: "X": supported values: "DoNotSchedule", "ScheduleAnyway"',
    ],
  },
  {
    kind: 'Pod',
    spec: pod({
      tolerations: [
        { key: 'a', operator: 'Exists', value: 'b' },
        { key: 'a', effect: 'X' },
        { key: 'a', value: 'b c' },
      ],
    }),
    wrong: [
      'spec.tolerations[0].operator: Invalid value: {"Key":"a"',
      'spec.tolerations[1].effect: Unsupported value: "X": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
      'spec.tolerations[2].operator: Invalid value: "b c": a valid label must be',
    ],
  },
  {
    kind: 'Pod',
    spec: pod({ hostPID: true, shareProcessNamespace: true, securityContext: { fsGroup: -1, sysctls: [{ name: 'A', value: '' }] } }),
    wrong: [
      'spec.securityContext.fsGroup: Invalid value: -1: must be between',
      'spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled',
      'spec.securityContext.sysctls[0].name: Invalid value: "A": must have at most 253 characters and match regex',
    ],
  },
  {
    kind: 'Pod',
    spec: pod({ readinessGates: [{ conditionType: 'a b' }] }),
    wrong: ['spec.readinessGates[0].conditionType: Invalid value: "a b": name part'],
  },
  // Workloads.
  {
    kind: 'Deployment',
    spec: {},
    wrong: [
      'spec.selector: Required value',
      'spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`',
      'spec.template.spec.containers: Required value',
    ],
  },
  {
    kind: 'DaemonSet',
    spec: {},
    wrong: [
      'spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`',
      'spec.template.spec.containers: Required value',
    ],
  },
  {
    kind: 'Deployment',
    spec: workload({ selector: { matchExpressions: [{ key: 'a', operator: 'X' }] } }),
    wrong: [
      'spec.selector.matchExpressions[0].operator: Invalid value: "X": not a valid selector operator',
      'spec.selector: Invalid value: {"matchExpressions":[{"key":"a","operator":"X"}]}: invalid label selector',
    ],
  },
  {
    kind: 'ReplicaSet',
    spec: workload({ selector: {} }),
    wrong: ['spec.selector: Invalid value: {}: empty selector is invalid for deployment'],
  },
  {
    kind: 'Deployment',
    spec: workload({ strategy: { rollingUpdate: { maxSurge: 'x', maxUnavailable: '200%' } } }),
    wrong: [
      "spec.strategy.rollingUpdate.maxSurge: Invalid value: \"x\": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%'",
      'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "200%": must not be greater than 100%',
    ],
  },
  {
    kind: 'DaemonSet',
    spec: workload({ updateStrategy: { type: 'X' } }),
    wrong: ['spec.updateStrategy: Unsupported value: {"Type":"X","RollingUpdate":null}: supported values: "RollingUpdate", "OnDelete"'],
  },
  {
    kind: 'DaemonSet',
    spec: workload({ updateStrategy: { rollingUpdate: { maxUnavailable: 0 } } }),
    wrong: ['spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0'],
  },
  {
    kind: 'StatefulSet',
    spec: workload({ updateStrategy: { rollingUpdate: { partition: -1 } } }),
    wrong: ['spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: must be greater than or equal to 0'],
  },
  {
    kind: 'StatefulSet',
    spec: workload({ updateStrategy: { type: 'OnDelete', rollingUpdate: { partition: 1 } } }),
    wrong: ['spec.updateStrategy.rollingUpdate: Invalid value: {"partition":1}: only allowed for updateStrategy \'RollingUpdate\''],
  },
  {
    kind: 'StatefulSet',
    spec: workload({ template: { metadata: { labels }, spec: pod({ restartPolicy: 'Never', activeDeadlineSeconds: 5 }) } }),
    wrong: [
      'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
      'spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in StatefulSet is not Supported',
    ],
  },
  // Ingresses.
  {
    kind: 'Ingress',
    spec: { defaultBackend: {} },
    wrong: ['spec.defaultBackend: Invalid value: "": resource or service backend is required'],
  },
  {
    kind: 'Ingress',
    spec: { defaultBackend: { service: { name: 's', port: { name: 'a', number: 5 } } } },
    wrong: ['spec.defaultBackend: Invalid value: "": cannot set both port name & port number'],
  },
  {
    kind: 'Ingress',
    spec: { rules: [{ host: '1.2.3.4', http: { paths: [{ path: '/', backend }] } }, { host: '*.a_' }] },
    wrong: [
      'spec.rules[0].host: Invalid value: "1.2.3.4": must be a DNS name, not an IP address',
      'spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified',
      'spec.rules[1].host: Invalid value: "*.a_": a wildcard DNS-1123 subdomain must start with \'*.\'',
    ],
  },
  {
    kind: 'Ingress',
    spec: { rules: [{ http: { paths: ['x', '//x', '/a/../b', '/..'].map((path) => ({ path, pathType: 'Exact', backend })) } }] },
    wrong: [
      'spec.rules[0].http.paths[0].path: Invalid value: "x": must be an absolute path',
      'spec.rules[0].http.paths[1].path: Invalid value: "//x": must not contain \'//\'',
      'spec.rules[0].http.paths[2].path: Invalid value: "/a/../b": must not contain \'/../\'',
      'spec.rules[0].http.paths[3].path: Invalid value: "/..": cannot end with \'/..\'',
    ],
  },
  { kind: 'IngressClass', spec: { controller: 'a' }, wrong: ['spec.controller: Invalid value: "a": must be a domain-prefixed path'] },
  {
    kind: 'IngressClass',
    spec: { controller: 'a.b/c', parameters: { kind: 'a/b', name: '%' } },
    wrong: [
      'spec.parameters.kind: Invalid value: "a/b": may not contain \'/\'',
      'spec.parameters.name: Invalid value: "%": may not contain \'%\'',
    ],
  },
  // Nodes, addresses and data.
  {
    kind: 'Node',
    spec: { taints: [{ key: 'z', effect: 'NoSchedule' }, { key: 'z', effect: 'NoSchedule' }, { key: 'a' }] },
    wrong: [
      'metadata.taints[1]: Duplicate value: {"Key":"z","Value":"","Effect":"NoSchedule","TimeAdded":null}: taints must be unique by key and effect pair',
      'metadata.taints[2].effect: Required value',
    ],
  },
  {
    kind: 'Node',
    fields: { status: { allocatable: { cpu: '-1' } } },
    wrong: ['status.allocatable.cpu: Invalid value: "-1": must be greater than or equal to 0'],
  },
  {
    kind: 'Endpoints',
    fields: { subsets: [{ addresses: [{ ip: '127.0.0.1' }, { ip: '0.0.0.0' }, { ip: '1.1.1.1', nodeName: 'B_' }] }] },
    wrong: [
      'subsets[0].addresses[0].ip: Invalid value: "127.0.0.1": may not be in the loopback range',
      'subsets[0].addresses[1].ip: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0)',
      'subsets[0].addresses[2].nodeName: Invalid value: "B_": a lowercase RFC 1123 subdomain',
    ],
  },
  {
    kind: 'ConfigMap',
    fields: { data: { a: 'b' }, binaryData: { a: 'YQ==' } },
    wrong: ['data[a]: Invalid value: "a": duplicate of key present in binaryData'],
  },
  { kind: 'Secret', fields: { type: 'kubernetes.io/dockercfg' }, wrong: ['data[.dockercfg]: Required value'] },
  {
    kind: 'Secret',
    fields: { type: 'kubernetes.io/dockerconfigjson', stringData: { '.dockerconfigjson': 'x' } },
    wrong: ['data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": invalid character \'x\' looking for beginning of value'],
  },
  {
    kind: 'Secret',
    fields: { type: 'kubernetes.io/service-account-token' },
    wrong: ['metadata.annotations[kubernetes.io/service-account.name]: Required value'],
  },
  {
    kind: 'Secret',
    fields: { type: 'kubernetes.io/basic-auth' },
    wrong: ['data[%s][username]: Required value', 'data[%s][password]: Required value'],
  },
  { kind: 'Lease', spec: { holderIdentity: '' }, wrong: [] },
  // Roles.
  {
    kind: 'ClusterRole',
    fields: { aggregationRule: {} },
    wrong: ['aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector'],
  },
  {
    kind: 'RoleBinding',
    fields: {
      roleRef: { kind: 'X', name: '%' },
      subjects: [{}, { kind: 'User', name: 'a', apiGroup: 'x' }, { kind: 'ServiceAccount', name: 'A_', apiGroup: 'x' }],
    },
    wrong: [
      'roleRef.kind: Unsupported value: "X": supported values: "Role", "ClusterRole"',
      'roleRef.name: Invalid value: "%": may not contain \'%\'',
      'subjects[0].name: Required value',
      'subjects[0].kind: Unsupported value: "": supported values: "ServiceAccount", "User", "Group"',
      'subjects[1].apiGroup: Unsupported value: "x": supported values: "rbac.authorization.k8s.io"',
      'subjects[2].name: Invalid value: "A_": a lowercase RFC 1123 subdomain',
      'subjects[2].apiGroup: Unsupported value: "x": supported values: ""',
    ],
  },
  // Metadata.
  {
    kind: 'ConfigMap',
    metadata: { finalizers: ['a', 'orphan', 'foregroundDeletion'] },
    wrong: [
      'metadata.finalizers[0]: Invalid value: "a": name is neither a standard finalizer name nor is it fully qualified',
      'metadata.finalizers: Invalid value: ["a","orphan","foregroundDeletion"]: finalizer orphan and foregroundDeletion cannot be both set',
    ],
  },
  {
    kind: 'ConfigMap',
    metadata: {
      ownerReferences: [
        { apiVersion: 'a/b/c', kind: 'K', name: 'n', uid: 'u' },
        { apiVersion: 'v1', kind: 'Event', name: 'a', uid: '' },
      ],
    },
    wrong: [
      'metadata.ownerReferences.apiVersion: Invalid value: "a/b/c": version must not be empty',
      'metadata.ownerReferences.uid: Invalid value: "": uid must not be empty',
      'metadata.ownerReferences: Invalid value: {"apiVersion":"v1","kind":"Event","name":"a","uid":""}: /v1, Kind=Event is disallowed from being an owner',
    ],
  },
];
