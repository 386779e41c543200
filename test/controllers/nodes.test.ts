import { Registry } from 'prom-client';
import { afterEach, describe, expect, test } from 'vitest';
import { startControllers } from '../../src/controllers/daemon.ts';
import { createFakeClient } from '../../src/kube/fake-client.ts';
import { createFakeCluster } from '../../src/kube/fake-cluster.ts';
import { type Pod, resources } from '../../src/objects/index.ts';
import { createFakeClock } from '../../src/runtime/fake-clock.ts';
import { createHealth } from '../../src/runtime/health.ts';
import { silentLogger } from '../../src/runtime/log.ts';
import { lease, node, now, service, settle, startCluster, type TestCluster, until } from './harness.ts';

let cluster: TestCluster;
afterEach(() => cluster?.daemon.stop());

const pod = (name: string, nodeName: string, change: Partial<Pod['spec']> = {}): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name,
    namespace: 'default',
    uid: name,
    resourceVersion: '1',
    creationTimestamp: new Date().toISOString(),
    labels: { app: 'web' },
  },
  spec: { containers: [{ name: 'main' }], nodeName, ...change },
  status: { phase: 'Running', podIP: '10.244.0.9', conditions: [{ type: 'Ready', status: 'True' }] },
});
const condition = (name: string) => cluster.get(resources.nodes, name)?.status!.conditions!.find(({ type }) => type === 'Ready');
const taints = (name: string) =>
  (cluster.get(resources.nodes, name)!.spec?.taints ?? []).map(({ key, effect }) => `${key}:${effect}`).sort();
const unreachable = ['node.kubernetes.io/unreachable:NoExecute', 'node.kubernetes.io/unreachable:NoSchedule'];

describe('node CIDRs', () => {
  test('each new node gets both families in one write; the blocks of a removed node come last', async () => {
    cluster = await startCluster({ clusterCidrs: ['10.244.0.0/23', '10.250.0.0/24', 'fd00:10:244::/56'] });
    cluster.cluster.set(resources.nodes, node('a'));
    cluster.cluster.set(resources.nodes, node('b'));
    await until(() => cluster.get(resources.nodes, 'b')!.spec?.podCIDRs, 'b has its CIDRs');
    expect(cluster.get(resources.nodes, 'a')!.spec).toMatchObject({
      podCIDR: '10.244.0.0/24',
      podCIDRs: ['10.244.0.0/24', 'fd00:10:244::/64'],
    });
    expect(cluster.get(resources.nodes, 'b')!.spec).toMatchObject({
      podCIDR: '10.244.1.0/24',
      podCIDRs: ['10.244.1.0/24', 'fd00:10:244:1::/64'],
    });
    expect(cluster.client.writes.filter((write) => write.startsWith('patch nodes '))).toHaveLength(2);
    cluster.cluster.remove(resources.nodes, 'a');
    cluster.cluster.set(resources.nodes, node('c'));
    await until(() => cluster.get(resources.nodes, 'c')!.spec?.podCIDR === '10.250.0.0/24', 'c has the block of the second range');
    cluster.cluster.set(resources.nodes, node('d'));
    await until(() => cluster.get(resources.nodes, 'd')!.spec?.podCIDR === '10.244.0.0/24', 'd has the block of a');
  });

  test('when the range is used up the node gets an event, a condition and a taint, and waits for a block', async () => {
    cluster = await startCluster({ clusterCidrs: ['10.0.0.0/24'], nodeMaskSizeIPv4: 25 });
    for (const name of ['a', 'b', 'c']) cluster.cluster.set(resources.nodes, node(name));
    const event = await until(
      () => cluster.list(resources.events).find(({ reason }) => reason === 'CIDRNotAvailable'),
      'there is an event',
    );
    expect(event).toMatchObject({
      type: 'Warning',
      involvedObject: { kind: 'Node', name: 'c' },
      message: expect.stringContaining('10.0.0.0/24 has no block left'),
    });
    const unavailable = () => cluster.get(resources.nodes, 'c')!.status!.conditions!.find(({ type }) => type === 'NetworkUnavailable');
    await until(() => unavailable()?.status === 'True', 'the condition is set');
    expect(unavailable()).toMatchObject({ reason: 'CIDRNotAvailable', message: '10.0.0.0/24 has no block left' });
    await until(() => taints('c').includes('node.kubernetes.io/network-unavailable:NoSchedule'), 'c is tainted');
    cluster.cluster.remove(resources.nodes, 'a');
    await until(() => cluster.get(resources.nodes, 'c')!.spec?.podCIDR === '10.0.0.0/25', 'c has its block');
    await until(() => unavailable()?.status === 'False', 'the condition is taken back');
    await until(() => taints('c').length === 0, 'the taint is gone');
    const writes = cluster.client.writes.length;
    await settle();
    expect(cluster.client.writes.length, 'and it is left at that').toBe(writes);
  });

  test("another's condition NetworkUnavailable is left as it is", async () => {
    cluster = await startCluster({ clusterCidrs: ['10.0.0.0/25'], nodeMaskSizeIPv4: 25 });
    cluster.cluster.set(resources.nodes, node('a'));
    await until(() => cluster.get(resources.nodes, 'a')!.spec?.podCIDR, 'a has its block');
    const waiting = node('b');
    const theirs = { type: 'NetworkUnavailable', status: 'True' as const, reason: 'NoRouteCreated' };
    cluster.cluster.set(resources.nodes, {
      ...waiting,
      status: { ...waiting.status, conditions: [...waiting.status!.conditions!, theirs] },
    });
    await until(() => cluster.list(resources.events).some(({ reason }) => reason === 'CIDRNotAvailable'), 'there is an event');
    await settle();
    expect(cluster.get(resources.nodes, 'b')!.status!.conditions).toContainEqual(theirs);
  });

  test('a block with the address of a node that came later is not given to anybody', async () => {
    cluster = await startCluster({ clusterCidrs: ['10.0.0.0/22'] });
    cluster.cluster.set(resources.nodes, node('a'));
    await until(() => cluster.get(resources.nodes, 'a')!.spec?.podCIDR === '10.0.0.0/24', 'a has the first block');
    const inside = node('b');
    cluster.cluster.set(resources.nodes, {
      ...inside,
      status: { ...inside.status, addresses: [{ type: 'InternalIP', address: '10.0.1.9' }] },
    });
    await until(() => cluster.get(resources.nodes, 'b')!.spec?.podCIDR === '10.0.2.0/24', 'b has the third block');
  });

  test('ranges that overlap each other or what nodes have are refused at the start, naming both', async () => {
    const parts = () => {
      const fake = createFakeCluster();
      return {
        fake,
        deps: { cluster: fake, client: createFakeClient(fake, { now: Date.now }) },
        context: { log: silentLogger(), clock: createFakeClock(), metrics: new Registry(), health: createHealth() },
      };
    };
    const one = parts();
    await expect(startControllers({ leaderElect: false, clusterCidrs: ['10.96.0.0/12'] }, one.deps, one.context)).rejects.toThrow(
      'cluster CIDR 10.96.0.0/12 overlaps service CIDR 10.96.0.0/16',
    );
    const two = parts();
    const inside = node('a');
    two.fake.set(resources.nodes, { ...inside, status: { ...inside.status, addresses: [{ type: 'InternalIP', address: '10.244.3.1' }] } });
    await expect(startControllers({ leaderElect: false }, two.deps, two.context)).rejects.toThrow(
      'cluster CIDR 10.244.0.0/16 overlaps address of node a 10.244.3.1/32',
    );
    const three = parts();
    three.fake.set(resources.nodes, node('a', { spec: { podCIDR: '10.96.1.0/24', podCIDRs: ['10.96.1.0/24'] } }));
    await expect(startControllers({ leaderElect: false }, three.deps, three.context)).rejects.toThrow(
      'service CIDR 10.96.0.0/16 overlaps pod CIDR of node a 10.96.1.0/24',
    );
  });
});

describe('a node that falls silent', () => {
  test('becomes Unknown and tainted after the grace period, its pods leave the services; all returns with the lease', async () => {
    const clock = createFakeClock(Date.now());
    cluster = await startCluster({ nodeMonitorGracePeriod: 10_000 }, clock);
    for (const name of ['a', 'b']) {
      cluster.cluster.set(resources.nodes, node(name));
      cluster.cluster.set(resources.leases, lease(name));
      cluster.cluster.set(resources.pods, pod(`on-${name}`, name));
    }
    await cluster.client.create(resources.services, service('web', { ipFamilies: ['IPv4'] }));
    const ready = () =>
      cluster
        .list(resources.endpointSlices)
        .flatMap(({ endpoints }) => endpoints.filter(({ conditions }) => conditions?.ready).map(({ targetRef }) => targetRef!.name));
    await until(() => ready().length === 2, 'both pods are in service');
    for (let second = 0; second < 12; second += 3) {
      await clock.advance(3_000);
      cluster.cluster.set(resources.leases, lease('a', new Date(clock.now()).toISOString()));
    }
    await until(() => condition('b')!.status === 'Unknown', 'b is Unknown');
    expect(condition('b')).toMatchObject({ reason: 'NodeStatusUnknown', message: 'Kubelet stopped posting node status.' });
    expect(condition('a')!.status).toBe('True');
    await until(() => taints('b').length === 2, 'b is tainted');
    expect(taints('b')).toEqual(unreachable);
    await until(() => ready().length === 1, 'the pod of b has left');
    expect(ready()).toEqual(['on-a']);
    await until(
      () => cluster.list(resources.events).some(({ reason, involvedObject }) => reason === 'NodeNotReady' && involvedObject.kind === 'Pod'),
      'the pod has an event',
    );
    // The runner of b is back: lease, node status, pod status.
    cluster.cluster.set(resources.leases, lease('b', new Date(clock.now()).toISOString()));
    const back = cluster.get(resources.nodes, 'b')!;
    await cluster.client.update(
      resources.nodes,
      { ...back, status: { ...back.status, conditions: [{ type: 'Ready', status: 'True' }] } },
      'status',
    );
    await until(() => taints('b').length === 0, 'the taints are gone');
    const conditions = [{ type: 'Ready', status: 'True' as const }];
    await cluster.client.patch(resources.pods, 'on-b', 'default', 'merge', { status: { conditions } }, 'status');
    await until(() => ready().length === 2, 'both pods are in service again');
  });

  test('a node that says itself that it is not ready is tainted not-ready; foreign taints stay; cordoning adds its own', async () => {
    cluster = await startCluster();
    cluster.cluster.set(resources.leases, lease('a'));
    cluster.cluster.set(
      resources.nodes,
      node('a', { ready: 'False', spec: { unschedulable: true, taints: [{ key: 'mine', effect: 'NoSchedule' }] } }),
    );
    await until(() => taints('a').length === 4, 'taints are there');
    expect(taints('a')).toEqual([
      'mine:NoSchedule',
      'node.kubernetes.io/not-ready:NoExecute',
      'node.kubernetes.io/not-ready:NoSchedule',
      'node.kubernetes.io/unschedulable:NoSchedule',
    ]);
  });

  test('pods are evicted when their toleration ends: at once, after its seconds, after 300 s by default, or never', async () => {
    const clock = createFakeClock(Math.floor(Date.now() / 1_000) * 1_000);
    cluster = await startCluster({ nodeMonitorGracePeriod: 10_000 }, clock);
    cluster.cluster.set(resources.nodes, node('a'));
    cluster.cluster.set(resources.leases, lease('a', new Date(clock.now()).toISOString()));
    const key = 'node.kubernetes.io/unreachable';
    cluster.cluster.set(resources.pods, pod('default', 'a'));
    cluster.cluster.set(
      resources.pods,
      pod('short', 'a', { tolerations: [{ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 5 }] }),
    );
    cluster.cluster.set(resources.pods, pod('ever', 'a', { tolerations: [{ operator: 'Exists' }] }));
    await settle();
    await clock.advance(10_001);
    await until(() => taints('a').length === 2, 'the node is tainted');
    await settle();
    const evicted = () =>
      cluster
        .list(resources.pods)
        .filter(({ metadata }) => metadata.deletionTimestamp)
        .map(({ metadata }) => metadata.name);
    expect(evicted()).toEqual([]);
    await clock.advance(5_000);
    await until(() => evicted().includes('short'), 'short is evicted');
    await clock.advance(290_000);
    await settle();
    expect(evicted()).toEqual(['short']);
    await clock.advance(6_000);
    await until(() => evicted().includes('default'), 'default is evicted');
    await clock.advance(3_600_000);
    expect(evicted().sort()).toEqual(['default', 'short']);
  });

  test('pods of a node that was removed are deleted outright, but not before the API server confirms it', async () => {
    cluster = await startCluster();
    cluster.cluster.set(resources.nodes, node('a'));
    const old = pod('p', 'a');
    cluster.cluster.set(resources.pods, {
      ...old,
      metadata: { ...old.metadata, creationTimestamp: new Date(Date.now() - 100_000).toISOString() },
    });
    cluster.cluster.set(resources.pods, pod('young', 'a'));
    await settle();
    cluster.cluster.remove(resources.nodes, 'a');
    await until(() => !cluster.get(resources.pods, 'default/p'), 'the old pod is gone');
    expect(cluster.get(resources.pods, 'default/young')).toBeDefined();
    const told = cluster.client.writes.filter((write) => write.startsWith('patch pods/status default/p'));
    expect(told).toHaveLength(1);
  });

  test('pods that ended go beyond a number, the oldest first; one deleted before it had a node goes at once', async () => {
    cluster = await startCluster({ terminatedPodThreshold: 2 });
    for (const [index, name] of ['c', 'a', 'd', 'b'].entries()) {
      const ended = pod(name, 'x');
      const creationTimestamp = new Date(Date.now() + index * 1_000).toISOString();
      cluster.cluster.set(resources.nodes, node('x'));
      cluster.cluster.set(resources.pods, { ...ended, metadata: { ...ended.metadata, creationTimestamp }, status: { phase: 'Succeeded' } });
    }
    await until(() => cluster.list(resources.pods).length === 2, 'two are left');
    expect(
      cluster
        .list(resources.pods)
        .map(({ metadata }) => metadata.name)
        .sort(),
    ).toEqual(['b', 'd']);
    const { nodeName: _none, ...spec } = pod('w', 'x').spec;
    const waiting = pod('w', 'x');
    cluster.cluster.set(resources.pods, {
      ...waiting,
      spec: { ...spec, schedulerName: 'nobody' },
      metadata: { ...waiting.metadata, deletionTimestamp: now(), deletionGracePeriodSeconds: 30 },
    });
    await until(() => !cluster.get(resources.pods, 'default/w'), 'it is gone');
  });

  test('coming and going of nodes is told', async () => {
    cluster = await startCluster();
    cluster.cluster.set(resources.nodes, node('a'));
    const messages = () => cluster.list(resources.events).map(({ reason, message }) => `${reason}: ${message}`);
    await until(() => messages().includes('RegisteredNode: Node a event: Registered Node a in Controller'), 'it is told');
    cluster.cluster.remove(resources.nodes, 'a');
    await until(() => messages().includes('RemovingNode: Node a event: Removing Node a from Controller'), 'it is told');
  });
});

describe('while the API server is away', () => {
  test('no node is blamed for a lease it could not renew', async () => {
    const clock = createFakeClock(Date.now());
    cluster = await startCluster({ leaderElect: true, nodeMonitorGracePeriod: 10_000 }, clock);
    cluster.cluster.set(resources.nodes, node('a'));
    cluster.cluster.set(resources.leases, lease('a'));
    await until(() => cluster.get(resources.nodes, 'a')!.spec?.podCIDR, 'the controllers act');
    const back = cluster.client.failWhen(() => new Error('connect ECONNREFUSED'));
    for (let second = 0; second < 30; second++) await clock.advance(1_000);
    back();
    for (let second = 0; second < 5; second++) await clock.advance(1_000);
    await settle();
    expect(condition('a')!.status).toBe('True');
    for (let second = 0; second < 15; second++) await clock.advance(1_000);
    await until(() => condition('a')!.status === 'Unknown', 'silence counts again');
  });
});
