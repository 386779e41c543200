import { describe, expect, it } from 'vitest';
import { type AnyObject, describeCauses, kinds } from '../../src/objects/index.ts';
import { apiVersionOf } from '../../src/objects/resource.ts';

const kindOf = (name: string) => kinds.find(({ resource }) => resource.kind === name)!;

function created(name: string, fields: object, metadata: object = {}): AnyObject {
  const kind = kindOf(name);
  const { resource } = kind;
  const namespace = resource.namespaced ? { namespace: 'default' } : {};
  const object = {
    apiVersion: apiVersionOf(resource),
    kind: name,
    metadata: { name: 'web', ...namespace, ...metadata },
    ...structuredClone(fields),
  } as AnyObject;
  kind.applyDefaults(object);
  kind.prepareForCreate(object);
  return object;
}

/** Problems of a new object as `field: text`. */
const problems = (name: string, fields: object, metadata: object = {}): string[] =>
  kindOf(name)
    .validate(created(name, fields, metadata), undefined)
    .map(({ field, message }) => `${field}: ${message}`);

/** Problems of an update. */
function updateProblems(old: AnyObject, change: (copy: AnyObject) => void): string[] {
  const kind = kindOf(old.kind);
  const copy = structuredClone(old);
  change(copy);
  kind.applyDefaults(copy);
  kind.prepareForUpdate(copy, old);
  return kind.validate(copy, old).map(({ field, message }) => `${field}: ${message}`);
}

const pod = (container: object = {}, spec: object = {}) => ({ spec: { containers: [{ name: 'a', image: 'x', ...container }], ...spec } });
const template = (labels: object = { app: 'web' }) => ({ metadata: { labels }, ...pod() });
const deployment = (spec: object = {}) => ({ spec: { selector: { matchLabels: { app: 'web' } }, template: template(), ...spec } });
const service = (spec: object = {}) => ({ spec: { ports: [{ port: 80 }], ...spec } });
const policy = (spec: object) => ({ spec: { podSelector: {}, ...spec } });

describe('metadata', () => {
  it('names are DNS subdomains, labels or what the kind says', () => {
    expect(problems('ConfigMap', {}, { name: 'Web' })).toEqual([
      "metadata.name: Invalid value: \"Web\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
    ]);
    expect(problems('Namespace', {}, { name: 'a.b' })[0]).toContain('a lowercase RFC 1123 label must consist of');
    expect(problems('Service', service(), { name: '1web' })[0]).toContain('a DNS-1035 label must consist of');
    expect(problems('Role', {}, { name: 'system:node:Web' })).toEqual([]);
    expect(problems('ConfigMap', {}, { name: '' })).toEqual(['metadata.name: Required value: name or generateName is required']);
    expect(problems('ConfigMap', {}, { name: 'a'.repeat(254) })).toEqual([
      'metadata.name: Invalid value: ' + JSON.stringify('a'.repeat(254)) + ': must be no more than 253 bytes',
    ]);
  });

  it('labels, annotations, owners and finalizers are judged', () => {
    expect(problems('ConfigMap', {}, { labels: { a: 'x y' } })[0]).toContain(
      'metadata.labels: Invalid value: "x y": a valid label must be an empty string or consist of',
    );
    expect(problems('ConfigMap', {}, { labels: { 'a/b/c': '' } })[0]).toContain(
      'metadata.labels: Invalid value: "a/b/c": a qualified name must consist of',
    );
    expect(problems('ConfigMap', {}, { annotations: { big: 'x'.repeat(256 * 1024) } })).toEqual([
      'metadata.annotations: Too long: may not be more than 262144 bytes',
    ]);
    expect(problems('ConfigMap', {}, { finalizers: ['a b'] })[0]).toContain(
      'metadata.finalizers: Invalid value: "a b": name part must consist of',
    );
    expect(problems('ConfigMap', {}, { ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'p' }] })).toEqual([
      'metadata.ownerReferences.uid: Invalid value: "": uid must not be empty',
    ]);
  });

  it('identity is immutable and a dying object takes no new finalizers', () => {
    const old = created('ConfigMap', {}, { uid: 'u', deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['a/b'] });
    expect(updateProblems(old, (copy) => void (copy.metadata.uid = 'v'))).toEqual(['metadata.uid: Invalid value: "v": field is immutable']);
    expect(updateProblems(old, (copy) => copy.metadata.finalizers!.push('c/d'))).toEqual([
      'metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers ["c/d"]',
    ]);
  });

  it('several problems read as one list', () => {
    const kind = kindOf('Lease');
    const causes = kind.validate(created('Lease', { spec: { leaseDurationSeconds: 0, leaseTransitions: -1 } }), undefined);
    expect(describeCauses(causes)).toBe(
      '[spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0, spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0]',
    );
  });
});

describe('pods', () => {
  it.each([
    [{ spec: {} }, 'spec.containers: Required value'],
    [pod({ name: '' }), 'spec.containers[0].name: Required value'],
    [pod({ image: '' }), 'spec.containers[0].image: Required value'],
    [
      pod({ imagePullPolicy: 'Sometimes' }),
      'spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"',
    ],
    [pod({ ports: [{}] }), 'spec.containers[0].ports[0].containerPort: Required value'],
    [
      pod({ ports: [{ containerPort: 70_000 }] }),
      'spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive',
    ],
    [
      pod({ ports: [{ containerPort: 1, protocol: 'tcp' }] }),
      'spec.containers[0].ports[0].protocol: Unsupported value: "tcp": supported values: "SCTP", "TCP", "UDP"',
    ],
    [
      pod({ ports: [{ containerPort: 1, name: 'a-very-long-name' }] }),
      'spec.containers[0].ports[0].name: Invalid value: "a-very-long-name": must be no more than 15 bytes',
    ],
    [pod({ env: [{ value: 'x' }] }), 'spec.containers[0].env[0].name: Required value'],
    [pod({ volumeMounts: [{ name: 'v', mountPath: '/x' }] }), 'spec.containers[0].volumeMounts[0].name: Not found: "v"'],
    [pod({ readinessProbe: {} }), 'spec.containers[0].readinessProbe: Required value: must specify a handler type'],
    [
      pod({}, { restartPolicy: 'Maybe' }),
      'spec.restartPolicy: Unsupported value: "Maybe": supported values: "Always", "OnFailure", "Never"',
    ],
    [pod({}, { dnsPolicy: 'None' }), 'spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None'],
    [
      pod({}, { dnsConfig: { nameservers: ['x'] } }),
      'spec.dnsConfig.nameservers[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    ],
    [
      pod(
        {},
        {
          containers: [
            { name: 'a', image: 'x' },
            { name: 'a', image: 'x' },
          ],
        },
      ),
      'spec.containers[1].name: Duplicate value: "a"',
    ],
  ])('%j', (fields, problem) => {
    expect(problems('Pod', fields)).toContain(problem);
  });

  it('a plain one is fine', () => {
    expect(problems('Pod', pod({ ports: [{ containerPort: 80, name: 'http' }], env: [{ name: 'A', value: 'b' }] }))).toEqual([]);
  });

  it('on update only images, tolerations and the deadline change', () => {
    const old = created('Pod', pod({}, { tolerations: [{ key: 'a', operator: 'Exists' }] }));
    expect(updateProblems(old, (copy) => void (copy.spec.containers[0].image = 'y'))).toEqual([]);
    expect(updateProblems(old, (copy) => copy.spec.tolerations.push({ key: 'b', operator: 'Exists' }))).toEqual([]);
    expect(updateProblems(old, (copy) => void (copy.spec.tolerations = []))).toEqual([
      'spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds',
    ]);
    expect(updateProblems(old, (copy) => copy.spec.containers.push({ name: 'b', image: 'x' }))).toEqual([
      'spec.containers: Forbidden: pod updates may not add or remove containers',
    ]);
    expect(updateProblems(old, (copy) => void (copy.spec.nodeName = 'n'))[0]).toMatch(
      /^spec: Forbidden: pod updates may not change fields other than `spec.containers\[\*\].image`/,
    );
  });
});

describe('workloads', () => {
  it.each([
    [{ spec: { template: template() } }, 'spec.selector: Required value'],
    [deployment({ selector: {} }), 'spec.selector: Invalid value: {}: empty selector is invalid for deployment'],
    [
      deployment({ template: template({ app: 'other' }) }),
      'spec.template.metadata.labels: Invalid value: {"app":"other"}: `selector` does not match template `labels`',
    ],
    [deployment({ replicas: -1 }), 'spec.replicas: Invalid value: -1: must be greater than or equal to 0'],
    [
      deployment({ template: { ...template(), spec: { ...template().spec, restartPolicy: 'Never' } } }),
      'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
    ],
    [
      deployment({ strategy: { type: 'Slow' } }),
      'spec.strategy: Unsupported value: {"Type":"Slow","RollingUpdate":null}: supported values: "Recreate", "RollingUpdate"',
    ],
    [
      deployment({ strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: 0 } } }),
      'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0',
    ],
    [
      deployment({ strategy: { type: 'Recreate', rollingUpdate: {} } }),
      "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
    ],
    [
      deployment({ selector: { matchExpressions: [{ key: 'app', operator: 'In' }] } }),
      "spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
    ],
  ])('%j', (fields, problem) => {
    expect(problems('Deployment', fields)).toContain(problem);
  });

  it('a selector is for ever', () => {
    const old = created('Deployment', deployment());
    const change = (copy: AnyObject) => {
      copy.spec.selector = { matchLabels: { app: 'web', x: 'y' } };
      copy.spec.template.metadata.labels.x = 'y';
    };
    expect(updateProblems(old, change)).toEqual([
      'spec.selector: Invalid value: {"matchLabels":{"app":"web","x":"y"}}: field is immutable',
    ]);
    expect(updateProblems(old, (copy) => void (copy.spec.template.spec.containers[0].image = 'y'))).toEqual([]);
  });

  it('a stateful set changes only what it may', () => {
    const old = created('StatefulSet', { spec: { ...deployment().spec, serviceName: 'web' } });
    expect(updateProblems(old, (copy) => void (copy.spec.replicas = 3))).toEqual([]);
    expect(updateProblems(old, (copy) => void (copy.spec.serviceName = 'x'))).toEqual([
      "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
    ]);
  });
});

describe('services', () => {
  it.each([
    [{ spec: {} }, 'spec.ports: Required value'],
    [service({ ports: [{ port: 80 }, { port: 443 }] }), 'spec.ports[0].name: Required value'],
    [
      service({
        ports: [
          { port: 80, name: 'a' },
          { port: 443, name: 'a' },
        ],
      }),
      'spec.ports[1].name: Duplicate value: "a"',
    ],
    [
      service({
        ports: [
          { port: 80, name: 'a' },
          { port: 80, name: 'b' },
        ],
      }),
      'spec.ports[1]: Duplicate value: {"protocol":"TCP","port":80}',
    ],
    [service({ ports: [{ port: 0 }] }), 'spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive'],
    [service({ ports: [{ port: 80, nodePort: 30_000 }] }), "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
    [
      service({ type: 'Other' }),
      'spec.type: Unsupported value: "Other": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
    ],
    [service({ type: 'ExternalName' }), 'spec.externalName: Required value'],
    [
      service({ type: 'LoadBalancer', clusterIP: 'None' }),
      'spec.clusterIPs[0]: Invalid value: "None": may not be set to \'None\' for LoadBalancer services',
    ],
    [service({ clusterIP: 'x' }), 'spec.clusterIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'],
    [
      service({ clusterIP: '10.0.0.1', clusterIPs: ['10.0.0.2'] }),
      'spec.clusterIPs: Invalid value: ["10.0.0.2"]: first value must match `clusterIP`',
    ],
    [
      service({ sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 0 } } }),
      'spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 0: must be greater than 0 and less than 86400',
    ],
    [
      service({ externalTrafficPolicy: 'Local' }),
      'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services',
    ],
    [
      service({ loadBalancerSourceRanges: ['10.0.0.0/8'] }),
      "spec.loadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
    ],
    [service({ ipFamilies: ['IPv5'] }), 'spec.ipFamilies[0]: Unsupported value: "IPv5": supported values: "IPv4", "IPv6"'],
  ])('%j', (fields, problem) => {
    expect(problems('Service', fields)).toContain(problem);
  });

  it.each([
    service(),
    { spec: { clusterIP: 'None' } },
    { spec: { type: 'ExternalName', externalName: 'example.com.' } },
    service({ type: 'NodePort', ports: [{ port: 80, nodePort: 30_000 }] }),
  ])('%j is fine', (fields) => expect(problems('Service', fields)).toEqual([]));
});

describe('network', () => {
  it.each([
    [policy({ ingress: [{ from: [{}] }] }), 'spec.ingress[0].from[0]: Required value: must specify a peer'],
    [
      policy({ ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/8' }, podSelector: {} }] }] }),
      'spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer',
    ],
    [
      policy({ ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/33' } }] }] }),
      'spec.ingress[0].from[0].ipBlock.cidr: Invalid value: "10.0.0.0/33": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
    ],
    [
      policy({ egress: [{ to: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['11.0.0.0/16'] } }] }] }),
      'spec.egress[0].to[0].ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`',
    ],
    [
      policy({ ingress: [{ ports: [{ endPort: 90 }] }] }),
      'spec.ingress[0].ports[0].port: Required value: must be specified when `endPort` is specified',
    ],
    [
      policy({ ingress: [{ ports: [{ port: 80, endPort: 79 }] }] }),
      'spec.ingress[0].ports[0].endPort: Invalid value: 79: must be greater than or equal to `port`',
    ],
    [
      policy({ ingress: [{ ports: [{ port: 'http', endPort: 90 }] }] }),
      'spec.ingress[0].ports[0].endPort: Invalid value: 90: may not be specified when `port` is non-numeric',
    ],
    [policy({ policyTypes: ['Both'] }), 'spec.policyTypes[0]: Unsupported value: "Both": supported values: "Ingress", "Egress"'],
  ])('policy %j', (fields, problem) => {
    expect(problems('NetworkPolicy', fields)).toContain(problem);
  });

  it('an empty peer selector is a peer', () => {
    expect(problems('NetworkPolicy', policy({ ingress: [{ from: [{ podSelector: {} }, { namespaceSelector: {} }] }, {}] }))).toEqual([]);
  });

  const slice = (addresses: string[], addressType = 'IPv4', more: object = {}) => ({ addressType, endpoints: [{ addresses }], ...more });

  it.each([
    [{}, 'addressType: Required value'],
    [slice([]), 'endpoints[0].addresses: Required value: must contain at least 1 address'],
    [slice(['fd00::1']), 'endpoints[0].addresses[0]: Invalid value: "fd00::1": must be a valid IPv4 address'],
    [slice(['10.0.0.1'], 'IPv6'), 'endpoints[0].addresses[0]: Invalid value: "10.0.0.1": must be a valid IPv6 address'],
    [
      slice(['127.0.0.1']),
      'endpoints[0].addresses[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
    ],
    [slice(['10.0.0.1'], 'IPv4', { ports: [{ port: 1 }, { port: 2 }] }), 'ports[1].name: Duplicate value: ""'],
  ])('endpoint slice %j', (fields, problem) => {
    expect(problems('EndpointSlice', fields)).toContain(problem);
  });

  it('the address type of an endpoint slice stays', () => {
    const old = created('EndpointSlice', slice(['10.0.0.1']));
    const change = (copy: AnyObject) => Object.assign(copy, slice(['fd00::1'], 'IPv6'));
    expect(updateProblems(old, change)).toEqual(['addressType: Invalid value: "IPv6": field is immutable']);
  });

  it('pod CIDRs of a node are set once, one of each family', () => {
    const node = created('Node', {});
    expect(updateProblems(node, (copy) => void (copy.spec = { podCIDRs: ['10.244.0.0/24', 'fd00::/64'] }))).toEqual([]);
    expect(problems('Node', { spec: { podCIDRs: ['10.0.0.0/24', '10.0.1.0/24'] } })).toEqual([
      'spec.podCIDRs: Invalid value: ["10.0.0.0/24","10.0.1.0/24"]: may specify no more than one CIDR for each IP family',
    ]);
    const old = created('Node', { spec: { podCIDRs: ['10.244.0.0/24'] } });
    expect(updateProblems(old, (copy) => void (copy.spec = { podCIDRs: ['10.244.1.0/24'] }))).toEqual([
      'spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid',
    ]);
  });
});

describe('others', () => {
  it('events agree with the namespace of what they are about', () => {
    const event = (namespace?: string) => ({ involvedObject: { kind: 'Pod', name: 'p', ...(namespace && { namespace }) } });
    expect(problems('Event', event('default'))).toEqual([]);
    expect(problems('Event', event())).toEqual([]);
    expect(problems('Event', event('other'))).toEqual(['involvedObject.namespace: Invalid value: "other": does not match event.namespace']);
    expect(
      problems('Event', {
        ...event('default'),
        eventTime: '2026-01-01T00:00:00.000000Z',
        action: 'Binding',
        reason: 'Scheduled',
        reportingInstance: 'x',
      }),
    ).toEqual(['reportingController: Required value']);
  });

  it('immutable config maps are', () => {
    const old = created('ConfigMap', { data: { a: 'b' }, immutable: true });
    expect(updateProblems(old, (copy) => void (copy['data'] = { a: 'c' }))).toEqual([
      'data: Forbidden: field is immutable when `immutable` is set',
    ]);
    expect(problems('ConfigMap', { data: { 'a b': '' } })[0]).toContain(
      'data[a b]: Invalid value: "a b": a valid config key must consist of',
    );
  });

  it('role bindings keep their role', () => {
    const old = created('RoleBinding', { roleRef: { kind: 'Role', name: 'r' }, subjects: [{ kind: 'User', name: 'u' }] });
    expect(kindOf('RoleBinding').validate(old, undefined)).toEqual([]);
    expect(updateProblems(old, (copy) => void (copy['roleRef'].name = 's'))[0]).toMatch(
      /^roleRef: Invalid value: .*: cannot change roleRef$/,
    );
  });

  it('hostile lengths are refused without matching patterns against them', () => {
    const started = performance.now();
    expect(problems('ConfigMap', {}, { name: `${'a-'.repeat(500_000)}_` })).toHaveLength(2);
    expect(performance.now() - started).toBeLessThan(1000);
  });
});
