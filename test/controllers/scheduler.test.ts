import { afterEach, describe, expect, test } from 'vitest';
import { createStaticView, schedulerController } from '../../src/controllers/index.ts';
import { parseQuantity } from '../../src/controllers/scheduler/requests.ts';
import { type KubeObject, type Node, type Pod, resources } from '../../src/objects/index.ts';
import { node, settle, startCluster, type TestCluster, until } from './harness.ts';

const pod = (name: string, spec: Partial<Pod['spec']> & { requests?: Record<string, string> } = {}, owner?: string): Pod => {
  const { requests, ...rest } = spec;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'default',
      uid: name,
      resourceVersion: '1',
      ...(owner ? { ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: owner, uid: owner, controller: true }] } : {}),
    },
    spec: { containers: [{ name: 'main', ...(requests ? { resources: { requests } } : {}) }], ...rest } as Pod['spec'],
    status: { phase: 'Pending' },
  };
};
const decide = (wanted: Pod, ...others: KubeObject[]) =>
  schedulerController.reconcile(`default/${wanted.metadata.name}`, createStaticView([wanted, ...others], 0), undefined).actions;
const chosen = (wanted: Pod, ...others: KubeObject[]): string => {
  const [action] = decide(wanted, ...others);
  if (action?.do === 'bind') return action.node.metadata.name;
  if (action?.do === 'patch')
    return (action.patch as { status: Pod['status'] }).status!.conditions!.find(({ type }) => type === 'PodScheduled')!.message!;
  return 'nothing';
};
const tainted = (name: string, effect: 'NoSchedule' | 'NoExecute' | 'PreferNoSchedule'): Node =>
  node(name, { spec: { taints: [{ key: 'gpu', value: 'yes', effect }] } });

describe('filtering', () => {
  test('says for every node why it does not fit, counted and sorted', () => {
    const nodes = [
      node('a', { ready: 'False' }),
      node('b', { spec: { unschedulable: true } }),
      tainted('c', 'NoSchedule'),
      node('d'),
      node('e', { allocatable: { cpu: '1' } }),
    ];
    expect(chosen(pod('p', { nodeSelector: { disk: 'ssd' } }), ...nodes)).toBe(
      "0/5 nodes are available: 1 node(s) had untolerated taint {gpu: yes}, 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }, 1 node(s) were unschedulable, 2 node(s) didn't match Pod's node affinity/selector.",
    );
    expect(chosen(pod('p'))).toBe('no nodes available to schedule pods');
  });

  test('tolerations let a pod onto tainted, cordoned and unready nodes', () => {
    expect(
      chosen(
        pod('p', { tolerations: [{ key: 'gpu', operator: 'Equal', value: 'yes', effect: 'NoSchedule' }] }),
        tainted('c', 'NoSchedule'),
      ),
    ).toBe('c');
    expect(
      chosen(pod('p', { tolerations: [{ operator: 'Exists' }] }), node('b', { spec: { unschedulable: true }, ready: 'Unknown' })),
    ).toBe('b');
    expect(
      chosen(pod('p', { tolerations: [{ key: 'gpu', operator: 'Exists', effect: 'NoSchedule' }] }), tainted('c', 'NoExecute')),
    ).toContain('untolerated taint');
  });

  test('requests are held against what pods on the node ask already, host ports against theirs', () => {
    const small = node('a', { allocatable: { cpu: '1', memory: '1Gi', pods: '2' } });
    const used = pod('u', { nodeName: 'a', requests: { cpu: '600m', memory: '100Mi' }, containers: undefined as never });
    used.spec.containers = [
      { name: 'm', ports: [{ containerPort: 80, hostPort: 8080 }], resources: { requests: { cpu: '600m', memory: '100Mi' } } } as never,
    ];
    expect(chosen(pod('p', { requests: { cpu: '400m', memory: '900Mi' } }), small, used)).toBe('a');
    expect(chosen(pod('p', { requests: { cpu: '401m', memory: '2Gi' } }), small, used)).toBe(
      '0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory.',
    );
    expect(chosen(pod('p'), small, used, { ...used, metadata: { ...used.metadata, name: 'v', uid: 'v' } })).toBe(
      '0/1 nodes are available: 1 Too many pods.',
    );
    const clash = pod('p', { containers: [{ name: 'm', ports: [{ containerPort: 1, hostPort: 8080, hostIP: '127.0.0.1' }] }] });
    expect(chosen(clash, small, used)).toContain("didn't have free ports");
    expect(
      chosen(
        { ...clash, spec: { containers: [{ name: 'm', ports: [{ containerPort: 1, hostPort: 8080, protocol: 'UDP' }] }] } },
        small,
        used,
      ),
    ).toBe('a');
  });
});

describe('scoring', () => {
  test('pods of one owner spread, then the emptier node wins, then the name; unwelcome taints come last', () => {
    const nodes = [node('a'), node('b'), node('c')];
    expect(
      chosen(
        pod('p', {}, 'rs'),
        ...nodes,
        pod('1', { nodeName: 'a' }, 'rs'),
        pod('2', { nodeName: 'b' }, 'other'),
        pod('3', { nodeName: 'b' }, 'other'),
      ),
    ).toBe('c');
    expect(
      chosen(
        pod('p', {}, 'rs'),
        ...nodes,
        pod('1', { nodeName: 'a' }, 'rs'),
        pod('3', { nodeName: 'c' }, 'rs'),
        pod('2', { nodeName: 'b' }, 'x'),
      ),
    ).toBe('b');
    expect(chosen(pod('p'), ...nodes)).toBe('a');
    expect(chosen(pod('p'), tainted('a', 'PreferNoSchedule'), node('b'), pod('1', { nodeName: 'b' }))).toBe('b');
  });

  test('quantities read as in the reference', () => {
    expect(['100m', '1.5', '1Ki', '2M', '1e3', '5E', '.5'].map(parseQuantity)).toEqual([0.1, 1.5, 1024, 2e6, 1000, 5e18, 0.5]);
    expect(['', 'x', '1 Gi', '1K', '--1'].map(parseQuantity)).toEqual([undefined, undefined, undefined, undefined, undefined]);
  });
});

const fresh = ({ metadata: { uid: _uid, resourceVersion: _revision, ...metadata }, ...rest }: Pod): Pod => ({ ...rest, metadata });

describe('with a cluster', () => {
  let cluster: TestCluster;
  afterEach(() => cluster.daemon.stop());

  test('a pod that fits nowhere gets the reason as condition and event, once, and is bound when a node comes', async () => {
    cluster = await startCluster();
    await cluster.client.create(resources.pods, fresh(pod('p')));
    const reason = await until(
      () => cluster.get(resources.pods, 'default/p')!.status!.conditions?.find(({ type }) => type === 'PodScheduled'),
      'it has a condition',
    );
    expect(reason).toMatchObject({ status: 'False', reason: 'Unschedulable', message: 'no nodes available to schedule pods' });
    cluster.cluster.set(resources.nodes, node('a', { ready: 'False' }));
    await until(() => cluster.get(resources.pods, 'default/p')!.status!.conditions![0]!.message?.startsWith('0/1'), 'the reason changes');
    await settle();
    expect(cluster.client.writes.filter((write) => write.startsWith('patch pods/status'))).toHaveLength(2);
    expect(cluster.list(resources.events).filter(({ reason: why }) => why === 'FailedScheduling')).toHaveLength(2);
    cluster.cluster.set(resources.nodes, node('a'));
    await until(() => cluster.get(resources.pods, 'default/p')!.spec.nodeName === 'a', 'it is bound');
  });

  test('decisions made before the watch shows earlier ones still spread', async () => {
    cluster = await startCluster();
    for (const name of ['a', 'b', 'c']) cluster.cluster.set(resources.nodes, node(name));
    await settle();
    cluster.client.hold();
    for (let index = 0; index < 9; index++) cluster.cluster.set(resources.pods, pod(`p${index}`, {}, 'rs'));
    await until(() => cluster.client.writes.filter((write) => write.startsWith('create pods/binding')).length === 9, 'nine bindings');
    cluster.client.release();
    const perNode = Map.groupBy(cluster.list(resources.pods), ({ spec }) => spec.nodeName);
    expect([...perNode.values()].map((pods) => pods.length)).toEqual([3, 3, 3]);
  });

  test('a binding that is refused takes nothing from the node and is tried again', async () => {
    cluster = await startCluster();
    cluster.cluster.set(resources.nodes, node('a', { allocatable: { pods: '1' } }));
    const heal = cluster.client.failWhen((write) => (write.includes('binding') ? new Error('no connection') : undefined));
    await cluster.client.create(resources.pods, fresh(pod('p')));
    await settle(60);
    expect(cluster.get(resources.pods, 'default/p')!.spec.nodeName).toBeUndefined();
    heal();
    await until(() => cluster.get(resources.pods, 'default/p')!.spec.nodeName === 'a', 'it is bound');
  });
});
