import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type AnyObject,
  applyScale,
  checkFields,
  findKind,
  findKindByName,
  type KindDeclaration,
  kinds,
  pruneUnknown,
  toScale,
} from '../../src/objects/index.ts';
import { apiVersionOf } from '../../src/objects/resource.ts';
import { objectOf } from './arbitrary-object.ts';

const kindOf = (name: string): KindDeclaration => kinds.find(({ resource }) => resource.kind === name)!;

function object(name: string, fields: object, metadata: object = {}): AnyObject {
  const { resource } = kindOf(name);
  return {
    apiVersion: apiVersionOf(resource),
    kind: name,
    metadata: { name: 'web', ...(resource.namespaced && { namespace: 'default' }), ...metadata },
    ...structuredClone(fields),
  } as AnyObject;
}

function created(name: string, fields: object, metadata: object = {}): AnyObject {
  const result = object(name, fields, metadata);
  kindOf(name).applyDefaults(result);
  kindOf(name).prepareForCreate(result);
  return result;
}

/** What an update to `change(old)` gives. */
function updated(old: AnyObject, change: (copy: AnyObject) => void): AnyObject {
  const copy = structuredClone(old);
  change(copy);
  kindOf(old.kind).applyDefaults(copy);
  kindOf(old.kind).prepareForUpdate(copy, old);
  return copy;
}

const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'nginx', image: 'nginx' }] } };
const workload = { selector: { matchLabels: { app: 'web' } }, template };

describe('declarations', () => {
  it('are found by path and by name', () => {
    expect(findKind('apps', 'v1', 'deployments')).toBe(kindOf('Deployment'));
    expect(findKind('', 'v1', 'pods')).toBe(findKindByName('v1', 'Pod'));
    expect(findKind('', 'v1', 'deployments')).toBeUndefined();
    expect(findKindByName('extensions/v1beta1', 'Deployment')).toBeUndefined();
  });

  it('have plurals, kinds and short names that are unique', () => {
    const names = kinds.flatMap(({ resource, shortNames }) => [resource.plural, ...shortNames].map((name) => `${name}.${resource.group}`));
    expect(new Set(names).size).toBe(names.length);
  });

  it('name the column Name first, and print any object that fits the schema', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...kinds).chain((kind) => objectOf(kind.schema).map((fields) => ({ kind, fields }))),
        ({ kind, fields }) => {
          const printed = { metadata: { name: 'x' }, ...fields } as unknown as AnyObject;
          for (const column of kind.columns) expect(['string', 'number', 'boolean', 'undefined']).toContain(typeof column.cell(printed, 0));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('default, prepare and judge any object that fits the schema without throwing, and defaults are stable', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...kinds).chain((kind) => objectOf(kind.schema).map((fields) => ({ kind, fields }))),
        ({ kind, fields }) => {
          const one = { ...object(kind.resource.kind, {}), ...fields } as AnyObject;
          one.metadata = { ...one.metadata, name: 'x', ...(kind.resource.namespaced && { namespace: 'default' }) };
          kind.applyDefaults(one);
          kind.prepareForCreate(one);
          kind.validate(one, undefined);
          expect(checkFields(kind.schema, one)).toEqual({ unknown: [], wrongType: [] });
          const again = structuredClone(one);
          kind.applyDefaults(again);
          expect(again).toEqual(one);
          kind.prepareForUpdate(again, one);
          kind.validate(again, one);
          kind.prepareForStatusUpdate(again, one);
          kind.selectableFields(one);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('defaulted objects are in the normal form that pruning gives', () => {
    for (const [name, fields] of [
      ['Deployment', { spec: workload }],
      ['Pod', { spec: template.spec }],
      ['NetworkPolicy', {}],
      ['Node', {}],
    ] as const) {
      const result = created(name, fields);
      const pruned = structuredClone(result);
      pruneUnknown(kindOf(name).schema, pruned);
      expect(pruned, name).toEqual(result);
    }
  });
});

describe('defaults', () => {
  it('of a pod are the reference’s', () => {
    const { spec, status } = created('Pod', {
      spec: { containers: [{ name: 'a', image: 'nginx:1.27', ports: [{ containerPort: 80 }], readinessProbe: { httpGet: { port: 80 } } }] },
    });
    expect(status).toEqual({ phase: 'Pending', qosClass: 'BestEffort' });
    expect(spec).toEqual({
      containers: [
        {
          name: 'a',
          image: 'nginx:1.27',
          imagePullPolicy: 'IfNotPresent',
          ports: [{ containerPort: 80, protocol: 'TCP' }],
          readinessProbe: {
            httpGet: { port: 80, path: '/', scheme: 'HTTP' },
            timeoutSeconds: 1,
            periodSeconds: 10,
            successThreshold: 1,
            failureThreshold: 3,
          },
          resources: {},
          terminationMessagePath: '/dev/termination-log',
          terminationMessagePolicy: 'File',
        },
      ],
      dnsPolicy: 'ClusterFirst',
      enableServiceLinks: true,
      preemptionPolicy: 'PreemptLowerPriority',
      priority: 0,
      restartPolicy: 'Always',
      schedulerName: 'default-scheduler',
      securityContext: {},
      terminationGracePeriodSeconds: 30,
    });
  });

  it.each([
    ['nginx', 'Always'],
    ['nginx:latest', 'Always'],
    ['nginx:1', 'IfNotPresent'],
    ['registry:5000/nginx', 'Always'],
    ['registry:5000/nginx:1', 'IfNotPresent'],
    ['nginx@sha256:0123', 'IfNotPresent'],
  ])('the image %s is pulled %s', (image, policy) => {
    expect(created('Pod', { spec: { containers: [{ name: 'a', image }] } }).spec.containers[0].imagePullPolicy).toBe(policy);
  });

  it('give a host network pod its container ports as host ports, and requests from limits', () => {
    const { spec, status } = created('Pod', {
      spec: {
        hostNetwork: true,
        containers: [
          { name: 'a', image: 'x', ports: [{ containerPort: 53, protocol: 'UDP' }], resources: { limits: { cpu: '1', memory: '1Gi' } } },
        ],
      },
    });
    expect(spec.containers[0].ports).toEqual([{ containerPort: 53, hostPort: 53, protocol: 'UDP' }]);
    expect(spec.containers[0].resources.requests).toEqual({ cpu: '1', memory: '1Gi' });
    expect(status.qosClass).toBe('Guaranteed');
  });

  it('leave the resources of a pod template as they were written: requests follow limits in pods alone', () => {
    const template = { spec: { containers: [{ name: 'a', image: 'x', resources: { limits: { cpu: '1' } } }] } };
    for (const plural of ['deployments', 'replicasets', 'daemonsets', 'statefulsets']) {
      const object = { metadata: { name: 'a' }, spec: { template: structuredClone(template) } } as AnyObject;
      kinds.find(({ resource }) => resource.plural === plural)!.applyDefaults(object);
      expect(object.spec.template.spec.containers[0].resources, plural).toEqual({ limits: { cpu: '1' } });
    }
  });

  it('of a deployment', () => {
    expect(created('Deployment', { spec: workload })).toMatchObject({
      metadata: { generation: 1 },
      spec: {
        replicas: 1,
        revisionHistoryLimit: 10,
        progressDeadlineSeconds: 600,
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
      },
    });
    expect(created('Deployment', { spec: { ...workload, replicas: 0, strategy: { type: 'Recreate' } } }).spec).toMatchObject({
      replicas: 0,
      strategy: { type: 'Recreate' },
    });
  });

  it('of a service', () => {
    expect(created('Service', { spec: { ports: [{ port: 80 }] } }).spec).toEqual({
      type: 'ClusterIP',
      sessionAffinity: 'None',
      internalTrafficPolicy: 'Cluster',
      ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }],
    });
    expect(created('Service', { spec: { sessionAffinity: 'ClientIP', type: 'NodePort' } }).spec).toMatchObject({
      externalTrafficPolicy: 'Cluster',
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 10_800 } },
    });
  });

  it('of a namespace: its name as a label, a finalizer and a phase', () => {
    const { metadata, spec, status } = created('Namespace', { status: { phase: 'Terminating' } });
    expect(metadata.labels).toEqual({ 'kubernetes.io/metadata.name': 'web' });
    expect([spec, status]).toEqual([{ finalizers: ['kubernetes'] }, { phase: 'Active' }]);
  });

  it.each([
    [{}, ['Ingress']],
    [{ egress: [{}] }, ['Ingress', 'Egress']],
    [{ egress: [] }, ['Ingress']],
    [{ policyTypes: ['Egress'] }, ['Egress']],
  ])('a network policy %j has the types %j', (spec, types) => {
    expect(created('NetworkPolicy', { spec }).spec.policyTypes).toEqual(types);
  });

  it('keep podCIDR and podCIDRs of a node together, and a registering node’s status', () => {
    const node = created('Node', { spec: { podCIDR: '10.244.0.0/24' }, status: { capacity: { cpu: '2' } } });
    expect(node.spec.podCIDRs).toEqual(['10.244.0.0/24']);
    expect(node.status.allocatable).toEqual({ cpu: '2' });
  });

  it('turn stringData of a secret into data', () => {
    expect(created('Secret', { stringData: { a: 'x' }, data: { b: 'eQ==' } })).toMatchObject({
      type: 'Opaque',
      data: { a: 'eA==', b: 'eQ==' },
    });
    expect(created('Secret', { stringData: { a: 'x' } })).not.toHaveProperty('stringData');
  });
});

describe('updates', () => {
  const deployment = created('Deployment', { spec: workload });

  it('keep the status, and count generations when the spec changes', () => {
    const old = { ...structuredClone(deployment), status: { replicas: 1 } } as AnyObject;
    const scaled = updated(old, (copy) => {
      copy.spec.replicas = 5;
      copy.status = { replicas: 99 };
    });
    expect(scaled).toMatchObject({ metadata: { generation: 2 }, status: { replicas: 1 } });
    const labelled = updated(old, (copy) => {
      copy.metadata.labels = { a: 'b' };
      copy.metadata.generation = 77;
    });
    expect(labelled.metadata.generation).toBe(1);
  });

  it('of the status keep everything else', () => {
    const copy = structuredClone(deployment);
    copy.spec.replicas = 9;
    copy.status = { replicas: 3 };
    kindOf('Deployment').prepareForStatusUpdate(copy, deployment);
    expect(copy.spec).toEqual(deployment.spec);
    expect(copy.status).toEqual({ replicas: 3 });
  });

  it('of an endpoint slice count generations by its own fields', () => {
    const slice = created('EndpointSlice', { addressType: 'IPv4', endpoints: [] });
    expect(slice.metadata.generation).toBe(1);
    expect(updated(slice, (copy) => void (copy['endpoints'] = [{ addresses: ['10.0.0.1'] }])).metadata.generation).toBe(2);
  });

  it('of a namespace cannot take its finalizers', () => {
    const namespace = created('Namespace', {});
    expect(updated(namespace, (copy) => void delete copy.spec).spec).toEqual({ finalizers: ['kubernetes'] });
  });
});

describe('scale', () => {
  it('shows replicas and the selector, and writes replicas', () => {
    const deployment = created('Deployment', { spec: { ...workload, replicas: 3 } }, { uid: 'u', resourceVersion: '7' });
    deployment.status = { replicas: 2 };
    const scale = toScale(deployment);
    expect(scale).toEqual({
      kind: 'Scale',
      apiVersion: 'autoscaling/v1',
      metadata: { name: 'web', namespace: 'default', uid: 'u', resourceVersion: '7' },
      spec: { replicas: 3 },
      status: { replicas: 2, selector: 'app=web' },
    });
    applyScale(deployment, { ...scale, spec: {} });
    expect(deployment.spec.replicas).toBe(0);
  });
});
