import { afterEach, describe, expect, test } from 'vitest';
import { type Action, createStaticView, daemonSetController } from '../../src/controllers/index.ts';
import { type DaemonSet, type Pod, resources } from '../../src/objects/index.ts';
import { node, now, runPods, settle, startCluster, type TestCluster, until } from './harness.ts';

const started: TestCluster[] = [];
const start = async (...names: string[]): Promise<TestCluster> => {
  const cluster = await startCluster();
  started.push(cluster);
  for (const name of names) cluster.cluster.set(resources.nodes, node(name));
  return cluster;
};
afterEach(async () => {
  for (const cluster of started.splice(0)) await cluster.daemon.stop();
});

const daemonSet = (change: Partial<DaemonSet['spec']> = {}, image = 'agent:1'): DaemonSet => ({
  apiVersion: 'apps/v1',
  kind: 'DaemonSet',
  metadata: { name: 'agent', namespace: 'default', annotations: { 'deprecated.daemonset.template.generation': '1' } },
  spec: {
    selector: { matchLabels: { app: 'agent' } },
    template: { metadata: { labels: { app: 'agent' } }, spec: { containers: [{ name: 'main', image }] } },
    updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } },
    revisionHistoryLimit: 10,
    ...change,
  },
});
const statusOf = (cluster: TestCluster) => cluster.get(resources.daemonSets, 'default/agent')?.status;
const ready = (cluster: TestCluster, count: number) =>
  until(() => {
    const status = statusOf(cluster);
    return status?.desiredNumberScheduled === count && status.numberAvailable === count && status.updatedNumberScheduled === count;
  }, `${count} pods are available and up to date`);
const podsBy = (cluster: TestCluster): Map<string | undefined, Pod[]> =>
  Map.groupBy(cluster.list(resources.pods), ({ spec }) => spec.nodeName);
const setImage = (cluster: TestCluster, image: string) =>
  cluster.client.patch(resources.daemonSets, 'agent', 'default', 'merge', {
    spec: { template: { spec: { containers: [{ name: 'main', image }] } } },
  });

describe('placement', () => {
  test('one pod on each node, with the labels, affinity and tolerations of the reference, bound by the scheduler; nodes come and go', async () => {
    const cluster = await start('a', 'b');
    runPods(cluster);
    await cluster.client.create(resources.daemonSets, daemonSet());
    await ready(cluster, 2);
    const pods = cluster.list(resources.pods);
    expect(pods.map(({ spec }) => spec.nodeName).sort()).toEqual(['a', 'b']);
    const [pod] = pods;
    const hash = pod!.metadata.labels!['controller-revision-hash']!;
    expect(pod!.metadata.labels).toEqual({ app: 'agent', 'controller-revision-hash': hash, 'pod-template-generation': '1' });
    expect(pod!.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution).toEqual({
      nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: [pod!.spec.nodeName] }] }],
    });
    expect(pod!.spec.tolerations!.map(({ key, operator, effect }) => `${key} ${operator} ${effect}`)).toEqual([
      'node.kubernetes.io/not-ready Exists NoExecute',
      'node.kubernetes.io/unreachable Exists NoExecute',
      'node.kubernetes.io/disk-pressure Exists NoSchedule',
      'node.kubernetes.io/memory-pressure Exists NoSchedule',
      'node.kubernetes.io/pid-pressure Exists NoSchedule',
      'node.kubernetes.io/unschedulable Exists NoSchedule',
    ]);
    expect(cluster.list(resources.controllerRevisions)).toMatchObject([
      { metadata: { name: `agent-${hash}`, labels: { app: 'agent', 'controller-revision-hash': hash } }, revision: 1 },
    ]);
    cluster.cluster.set(resources.nodes, node('c', { spec: { unschedulable: true } }));
    await ready(cluster, 3);
    await cluster.client.delete(resources.nodes, 'c');
    await until(() => statusOf(cluster)?.desiredNumberScheduled === 2, 'the node is no longer counted');
    expect(statusOf(cluster)).toMatchObject({
      currentNumberScheduled: 2,
      numberReady: 2,
      numberMisscheduled: 0,
      observedGeneration: 1,
    });
    expect(cluster.list(resources.events).filter(({ reason }) => reason === 'SuccessfulCreate').length).toBeGreaterThan(0);
  });

  test('selectors, affinity and taints decide; a pod that should not be there goes when NoExecute says so, and is miscounted otherwise', async () => {
    const cluster = await start('a', 'b');
    runPods(cluster);
    cluster.cluster.set(resources.nodes, node('gpu', { spec: { taints: [{ key: 'gpu', value: 'yes', effect: 'NoSchedule' }] } }));
    await cluster.client.create(resources.daemonSets, daemonSet());
    await ready(cluster, 2);
    await cluster.client.patch(resources.nodes, 'b', undefined, 'merge', { spec: { taints: [{ key: 'x', effect: 'NoSchedule' }] } });
    await until(() => statusOf(cluster)?.numberMisscheduled === 1, 'it is counted as misplaced');
    expect(podsBy(cluster).get('b')).toHaveLength(1);
    await cluster.client.patch(resources.nodes, 'b', undefined, 'merge', { spec: { taints: [{ key: 'x', effect: 'NoExecute' }] } });
    await until(() => !podsBy(cluster).has('b'), 'it is deleted');
    await cluster.client.patch(resources.daemonSets, 'agent', 'default', 'merge', {
      spec: { template: { spec: { nodeSelector: { disk: 'ssd' } } } },
    });
    await until(() => cluster.list(resources.pods).length === 0, 'no node has the label');
    await cluster.client.patch(resources.nodes, 'a', undefined, 'merge', { metadata: { labels: { disk: 'ssd' } } });
    await ready(cluster, 1);
  });

  test('a pod that failed is replaced, not at once again and again', () => {
    const set = { ...daemonSet(), metadata: { ...daemonSet().metadata, uid: 'ds', generation: 1 } };
    const view = createStaticView([set, node('a')], Date.parse('2026-01-01T00:00:00Z'));
    const [, create] = daemonSetController.reconcile('default/agent', view, undefined).actions;
    expect(create).toMatchObject({ do: 'create', object: { kind: 'ControllerRevision' } });
    const { object } = create as Extract<Action, { do: 'create' }>;
    const revision = { ...object, metadata: { ...object.metadata, uid: 'r' } };
    const hash = revision.metadata.labels!['controller-revision-hash']!;
    const failed: Pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: 'agent-x',
        namespace: 'default',
        uid: 'p',
        creationTimestamp: '2026-01-01T00:00:00Z',
        labels: { app: 'agent', 'controller-revision-hash': hash },
        ownerReferences: revision.metadata.ownerReferences!,
      },
      spec: { containers: [], nodeName: 'a' },
      status: { phase: 'Failed' },
    };
    const decide = (seconds: number) =>
      daemonSetController.reconcile(
        'default/agent',
        createStaticView([set, node('a'), revision, failed], Date.parse('2026-01-01T00:00:00Z') + seconds * 1_000),
        undefined,
      );
    expect(decide(4)).toMatchObject({ requeueAfter: 6_000 });
    expect(decide(4).actions.some((action) => action.do === 'together')).toBe(false);
    expect(decide(11).actions.slice(1)).toMatchObject([
      {
        do: 'event',
        event: { reason: 'FailedDaemonPod', message: 'Found failed daemon pod default/agent-x on node a, will try to kill it' },
      },
      { do: 'together', actions: [{ do: 'delete', object: { metadata: { name: 'agent-x' } } }] },
    ]);
  });
});

describe('updating', () => {
  test('no more than maxUnavailable nodes lack their pod, history is kept, and going back makes the old revision the newest', async () => {
    const cluster = await start('a', 'b', 'c', 'd');
    runPods(cluster);
    await cluster.client.create(resources.daemonSets, daemonSet({ revisionHistoryLimit: 1 }));
    await ready(cluster, 4);
    let fewest = 4;
    cluster.cluster.informer(resources.pods).onChange(() => {
      const up = cluster
        .list(resources.pods)
        .filter(
          ({ metadata, status }) =>
            !metadata.deletionTimestamp && status?.conditions?.some((each) => each.type === 'Ready' && each.status === 'True'),
        );
      fewest = Math.min(fewest, up.length);
    });
    await setImage(cluster, 'agent:2');
    await until(() => cluster.list(resources.pods).every(({ spec }) => spec.containers[0]!.image === 'agent:2'), 'all are new');
    await ready(cluster, 4);
    expect(fewest).toBe(3);
    expect(
      cluster
        .list(resources.controllerRevisions)
        .map(({ revision }) => revision)
        .sort(),
    ).toEqual([1, 2]);
    await setImage(cluster, 'agent:1');
    await until(() => cluster.list(resources.pods).every(({ spec }) => spec.containers[0]!.image === 'agent:1'), 'all are old again');
    await ready(cluster, 4);
    expect(
      cluster
        .list(resources.controllerRevisions)
        .map(({ revision }) => revision)
        .sort(),
    ).toEqual([2, 3]);
    await setImage(cluster, 'agent:3');
    await until(() => cluster.list(resources.pods).every(({ spec }) => spec.containers[0]!.image === 'agent:3'), 'the third');
    await ready(cluster, 4);
    await until(() => cluster.list(resources.controllerRevisions).length === 2, 'one old revision is left');
  });

  test('with maxSurge a new pod stands beside the old one until it is available', async () => {
    const cluster = await start('a', 'b', 'c');
    runPods(cluster);
    await cluster.client.create(
      resources.daemonSets,
      daemonSet({ updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } } }),
    );
    await ready(cluster, 3);
    let fewest = 3;
    let most = 3;
    cluster.cluster.informer(resources.pods).onChange(() => {
      const pods = cluster.list(resources.pods).filter(({ metadata }) => !metadata.deletionTimestamp);
      most = Math.max(most, pods.length);
      const nodes = new Set(
        pods
          .filter(({ status }) => status?.conditions?.some((each) => each.type === 'Ready' && each.status === 'True'))
          .map(({ spec }) => spec.nodeName),
      );
      fewest = Math.min(fewest, nodes.size);
    });
    await setImage(cluster, 'agent:2');
    await until(() => cluster.list(resources.pods).every(({ spec }) => spec.containers[0]!.image === 'agent:2'), 'all are new');
    await ready(cluster, 3);
    expect([fewest, most]).toEqual([3, 4]);
  });

  test('OnDelete waits until somebody deletes a pod; a revision that a pod was made from stays beyond the limit', async () => {
    const cluster = await start('a', 'b');
    runPods(cluster);
    await cluster.client.create(resources.daemonSets, daemonSet({ updateStrategy: { type: 'OnDelete' }, revisionHistoryLimit: 0 }));
    await ready(cluster, 2);
    await setImage(cluster, 'agent:2');
    await until(() => statusOf(cluster)?.updatedNumberScheduled === 0, 'none is up to date');
    await settle();
    const images = () =>
      cluster
        .list(resources.pods)
        .map(({ spec }) => spec.containers[0]!.image)
        .sort();
    expect(images()).toEqual(['agent:1', 'agent:1']);
    await cluster.client.delete(resources.pods, podsBy(cluster).get('a')![0]!.metadata.name, 'default');
    await until(() => statusOf(cluster)?.updatedNumberScheduled === 1, 'one is up to date');
    expect(images()).toEqual(['agent:1', 'agent:2']);
    expect(cluster.list(resources.controllerRevisions)).toHaveLength(2);
    await cluster.client.delete(resources.pods, podsBy(cluster).get('b')![0]!.metadata.name, 'default');
    await until(() => cluster.list(resources.controllerRevisions).length === 1, 'the old revision goes');
  });

  test('a revision of that name that is not ours makes another hash', async () => {
    const cluster = await start('a');
    runPods(cluster);
    await cluster.client.create(resources.daemonSets, daemonSet());
    await ready(cluster, 1);
    const { name } = cluster.list(resources.controllerRevisions)[0]!.metadata;
    await cluster.client.delete(resources.daemonSets, 'agent', 'default', { propagationPolicy: 'Foreground' });
    await until(() => cluster.list(resources.daemonSets).length === 0, 'everything is gone');
    cluster.cluster.set(resources.controllerRevisions, {
      apiVersion: 'apps/v1',
      kind: 'ControllerRevision',
      metadata: { name, namespace: 'default', uid: 'other', creationTimestamp: now() },
      data: { x: 1 },
      revision: 1,
    });
    await cluster.client.create(resources.daemonSets, daemonSet());
    await ready(cluster, 1);
    expect(statusOf(cluster)?.collisionCount).toBe(1);
  });
});
