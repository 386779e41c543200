import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { controllersOptions } from '../../src/controllers/index.ts';
import { podTemplateHash } from '../../src/controllers/deployment/hash.ts';
import { rollingLimits } from '../../src/controllers/deployment/limits.ts';
import { proportionalSizes } from '../../src/controllers/deployment/scale.ts';
import { deploymentStatus } from '../../src/controllers/deployment/status.ts';
import { sameMeaning } from '../../src/controllers/equal.ts';
import { podsToDelete } from '../../src/controllers/replica-set/ranking.ts';
import { findProblems } from '../../src/controllers/service-repair.ts';
import { parsePrefix } from '../../src/net/index.ts';
import type { Deployment, Pod, ReplicaSet } from '../../src/objects/index.ts';
import { deployment, service } from './harness.ts';

describe('the pod template hash', () => {
  const { template } = deployment('web', 1).spec;
  test('is written in the safe alphabet and does not depend on the order of fields or on what is empty', () => {
    expect(podTemplateHash(template)).toMatch(/^[bcdfghjklmnpqrstvwxz2456789]{1,10}$/);
    const other = {
      spec: { ...template.spec, nodeSelector: {}, tolerations: [] },
      metadata: { labels: { ...template.metadata!.labels }, annotations: {} },
    };
    expect(podTemplateHash(other)).toBe(podTemplateHash(template));
    expect(podTemplateHash({ ...template, spec: { containers: [{ name: 'main', image: 'other' }] } })).not.toBe(podTemplateHash(template));
    expect(podTemplateHash(template, 1)).not.toBe(podTemplateHash(template));
  });
  test('equality looks through null, missing and empty, not through order of lists or values', () => {
    expect(sameMeaning({ a: null, b: [], c: {} }, {})).toBe(true);
    expect(sameMeaning([1, 2], [2, 1])).toBe(false);
    expect(sameMeaning({ a: 0 }, {})).toBe(false);
    expect(sameMeaning({ a: '' }, {})).toBe(false);
  });
});

describe('rolling limits', () => {
  const limits = (replicas: number, maxSurge: number | string, maxUnavailable: number | string) =>
    rollingLimits(deployment('web', replicas, { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } } }));
  test('surge rounds up, unavailable down, both are never 0, unavailable is at most all', () => {
    expect(limits(3, '25%', '25%')).toEqual({ maxSurge: 1, maxUnavailable: 0 });
    expect(limits(10, '25%', '25%')).toEqual({ maxSurge: 3, maxUnavailable: 2 });
    expect(limits(3, 0, '10%')).toEqual({ maxSurge: 0, maxUnavailable: 1 });
    expect(limits(2, 1, 5)).toEqual({ maxSurge: 1, maxUnavailable: 2 });
    expect(limits(0, '25%', '25%')).toEqual({ maxSurge: 0, maxUnavailable: 0 });
  });
});

describe('scaling in proportion', () => {
  const replicaSet = (name: string, replicas: number, max: number): ReplicaSet => ({
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name, annotations: { 'deployment.kubernetes.io/max-replicas': String(max) }, creationTimestamp: '2030-01-01T00:00:00Z' },
    spec: { replicas, selector: {} },
  });
  const sizes = (replicas: number, ...sets: ReplicaSet[]) => [
    ...proportionalSizes(deployment('web', replicas, { strategy: { rollingUpdate: { maxSurge: 3, maxUnavailable: 2 } } }), sets).values(),
  ];
  test('ten pods of a half-done rollout grown to fifteen keep their shares (the example of the reference)', () => {
    expect(sizes(15, replicaSet('old', 8, 13), replicaSet('new', 5, 13))).toEqual([11, 7]);
  });
  test('together they always fill exactly what is allowed, and none is negative', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 100 }),
        fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 2, maxLength: 6 }),
        (wanted, given) => {
          const total = given.reduce((a, b) => a + b, 0);
          const result = sizes(wanted, ...given.map((size, index) => replicaSet(`r${index}`, size, total)));
          expect(result.reduce((a, b) => a + b, 0)).toBe(wanted === 0 ? 0 : wanted + 3);
          expect(Math.min(...result)).toBeGreaterThanOrEqual(0);
        },
      ),
    );
  });
});

describe('progress of a deployment', () => {
  const stuck = (seconds: number): Deployment => ({
    ...deployment('web', 1, { progressDeadlineSeconds: 60 }),
    status: {
      conditions: [
        {
          type: 'Progressing',
          status: 'True',
          reason: 'ReplicaSetUpdated',
          message: 'x',
          lastUpdateTime: new Date(1e12 - seconds * 1_000).toISOString(),
        },
      ],
    },
  });
  const progressing = (subject: Deployment) =>
    deploymentStatus(subject, { fresh: undefined, old: [], all: [] }, undefined, 1e12).conditions!.find(
      ({ type }) => type === 'Progressing',
    );
  test('a rollout that does not move within its deadline is called timed out', () => {
    expect(progressing(stuck(59))).toMatchObject({ status: 'True', reason: 'ReplicaSetUpdated' });
    expect(progressing(stuck(61))).toMatchObject({
      status: 'False',
      reason: 'ProgressDeadlineExceeded',
      message: 'Deployment "web" has timed out progressing.',
    });
    const endless = stuck(1_000_000);
    expect(progressing({ ...endless, spec: { ...endless.spec, progressDeadlineSeconds: 2_147_483_647 } })).toBeUndefined();
  });
});

describe('which pods go first', () => {
  const pod = (
    name: string,
    change: Partial<Pod['metadata']> & {
      node?: string;
      phase?: 'Pending' | 'Running';
      ready?: boolean;
      since?: string;
      restarts?: number;
    } = {},
  ): Pod => {
    const { node = 'a', phase = 'Running', ready = true, since = '2030-01-01T00:00:00Z', restarts = 0, ...metadata } = change;
    return {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, creationTimestamp: '2030-01-01T00:00:00Z', ...metadata },
      spec: { containers: [], ...(node ? { nodeName: node } : {}) },
      status: {
        phase,
        conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: since }],
        containerStatuses: [{ name: 'm', ready, restartCount: restarts, image: '', imageID: '' }],
      },
    };
  };
  test('each rule decides between pods that the rules before hold equal', () => {
    const cost = (value: string) => ({ annotations: { 'controller.kubernetes.io/pod-deletion-cost': value } });
    const order = [
      pod('not-scheduled', { node: '', phase: 'Pending', ready: false }),
      pod('pending', { phase: 'Pending', ready: false }),
      pod('unready', { ready: false }),
      pod('cheap', cost('-5')),
      pod('crowded', { node: 'crowded' }),
      pod('just-ready', { since: '2030-01-02T00:00:00Z' }),
      pod('restarts', { restarts: 3 }),
      pod('young', { creationTimestamp: '2030-01-03T00:00:00Z' }),
      pod('a-name'),
      pod('b-name'),
      pod('dear', cost('100')),
    ];
    const siblings = [...order, ...Array.from({ length: 20 }, (_, index) => pod(`s${index}`, { node: 'crowded' }))];
    const shuffled = [...order].reverse();
    for (let count = 1; count < order.length; count++) {
      expect(podsToDelete(shuffled, siblings, count).map(({ metadata }) => metadata.name)).toEqual(
        order.slice(0, count).map(({ metadata }) => metadata.name),
      );
    }
  });
});

describe('service repair', () => {
  const made = (name: string, created: string, spec: Parameters<typeof service>[1]) => ({
    ...service(name, spec),
    metadata: { name, namespace: 'default', creationTimestamp: created },
  });
  test('tells what two services share and what lies outside, of the younger, and nothing of good ones', () => {
    const ranges = ['10.96.0.0/16', 'fd00:10:96::/112'].map((text) => parsePrefix(text));
    const services = [
      made('younger', '2030-01-02T00:00:00Z', { clusterIPs: ['10.96.0.20'], ports: [{ port: 1, nodePort: 30_000 }] }),
      made('older', '2030-01-01T00:00:00Z', {
        ports: [
          { port: 1, nodePort: 30_000 },
          { port: 1, nodePort: 30_000, protocol: 'UDP' },
        ],
      }),
      made('outside', '2030-01-03T00:00:00Z', { clusterIPs: ['10.97.0.1'] }),
      made('headless', '2030-01-03T00:00:00Z', { clusterIP: 'None', clusterIPs: ['None'] }),
    ];
    expect(
      findProblems(services, ranges).map(({ regarding, reason, message }) => `${regarding.metadata.name} ${reason}: ${message}`),
    ).toEqual([
      'younger ClusterIPAlreadyAllocated: Cluster IP 10.96.0.20 was assigned to multiple services, default/older too; please recreate service',
      'younger PortAlreadyAllocated: Port 30000/TCP was assigned to multiple services, default/older too; please recreate service',
      'outside ClusterIPOutOfRange: Cluster IP 10.97.0.1 is not within the service CIDR 10.96.0.0/16; please recreate service',
    ]);
  });
});

describe('options', () => {
  test('defaults fit together, and what does not is refused by name', () => {
    expect(controllersOptions()).toMatchObject({ nodeMaskSizeIPv4: 24, nodeMonitorGracePeriod: 10_000, leaderElect: true });
    expect(Object.isFrozen(controllersOptions())).toBe(true);
    expect(() => controllersOptions({ nodeMonitorGracePeriod: 1 })).toThrow('controllers option nodeMonitorGracePeriod');
    expect(() => controllersOptions({ renewDeadline: 15_000 })).toThrow('leaseDuration: 15000 ms must be more than renewDeadline');
    expect(() => controllersOptions({ retryPeriod: 10_000 })).toThrow('renewDeadline: 10000 ms must be more than retryPeriod');
    expect(() => controllersOptions({ clusterCidrs: ['x'] })).toThrow('cluster CIDR: "x" is not a CIDR');
    expect(() => controllersOptions({ nonsense: 1 } as never)).toThrow('controllers option');
  });
});
