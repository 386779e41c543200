import { afterEach, describe, expect, test } from 'vitest';
import { type Pod, resources, type StatefulSet } from '../../src/objects/index.ts';
import { node, runPods, settle, startCluster, type TestCluster, until } from './harness.ts';

const started: TestCluster[] = [];
const start = async (): Promise<TestCluster> => {
  const cluster = await startCluster();
  started.push(cluster);
  for (const name of ['a', 'b']) cluster.cluster.set(resources.nodes, node(name));
  return cluster;
};
afterEach(async () => {
  for (const cluster of started.splice(0)) await cluster.daemon.stop();
});

const statefulSet = (replicas: number, change: Partial<StatefulSet['spec']> = {}): StatefulSet => ({
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  metadata: { name: 'db', namespace: 'default' },
  spec: {
    replicas,
    serviceName: 'db',
    selector: { matchLabels: { app: 'db' } },
    template: { metadata: { labels: { app: 'db' } }, spec: { containers: [{ name: 'main', image: 'db:1' }] } },
    podManagementPolicy: 'OrderedReady',
    updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } },
    revisionHistoryLimit: 10,
    ...change,
  },
});
const statusOf = (cluster: TestCluster) => cluster.get(resources.statefulSets, 'default/db')?.status;
const complete = (cluster: TestCluster, replicas: number) =>
  until(() => {
    const status = statusOf(cluster);
    return (
      status?.replicas === replicas &&
      status.availableReplicas === replicas &&
      status.updatedReplicas === replicas &&
      status.currentRevision === status.updateRevision
    );
  }, `${replicas} pods are available and up to date`);
const names = (cluster: TestCluster): string[] =>
  cluster
    .list(resources.pods)
    .map(({ metadata }) => metadata.name)
    .sort();
const patch = (cluster: TestCluster, spec: object) => cluster.client.patch(resources.statefulSets, 'db', 'default', 'merge', { spec });
const setImage = (cluster: TestCluster, image: string) => patch(cluster, { template: { spec: { containers: [{ name: 'main', image }] } } });
const isUp = ({ metadata, status }: Pod): boolean =>
  !metadata.deletionTimestamp && status?.conditions?.some((each) => each.type === 'Ready' && each.status === 'True') === true;
/** What was written to pods, in order: `create db-0`, `delete db-1`. */
const writesOf = (cluster: TestCluster): string[] => {
  const known = new Set(names(cluster));
  const seen: string[] = [];
  cluster.cluster.informer(resources.pods).onChange((before, after) => {
    const { name } = (after ?? before)!.metadata;
    if (after && !known.has(name)) seen.push(`create ${name}`);
    if (after?.metadata.deletionTimestamp && !before?.metadata.deletionTimestamp) seen.push(`delete ${name}`);
    if (after) known.add(name);
    else known.delete(name);
  });
  return seen;
};

describe('names and order', () => {
  test('pods are made one after the other, each with its lasting name, host name and labels, and deleted in reverse', async () => {
    const cluster = await start();
    runPods(cluster);
    const writes = writesOf(cluster);
    let early = false;
    cluster.cluster.informer(resources.pods).onChange((before, after) => {
      early ||= !before && after !== undefined && !cluster.list(resources.pods).every((pod) => pod === after || isUp(pod));
    });
    await cluster.client.create(resources.statefulSets, statefulSet(3));
    await complete(cluster, 3);
    expect(writes).toEqual(['create db-0', 'create db-1', 'create db-2']);
    expect(early).toBe(false);
    const pod = cluster.get(resources.pods, 'default/db-1')!;
    const revision = statusOf(cluster)!.updateRevision!;
    expect(pod.spec).toMatchObject({ hostname: 'db-1', subdomain: 'db' });
    expect(pod.metadata.labels).toEqual({
      app: 'db',
      'controller-revision-hash': revision,
      'statefulset.kubernetes.io/pod-name': 'db-1',
      'apps.kubernetes.io/pod-index': '1',
    });
    expect(cluster.list(resources.controllerRevisions)).toMatchObject([{ metadata: { name: revision }, revision: 1 }]);
    await patch(cluster, { replicas: 1 });
    await complete(cluster, 1);
    expect(writes.slice(3)).toEqual(['delete db-2', 'delete db-1']);
    const events = cluster.list(resources.events).filter(({ source }) => source?.component === 'statefulset-controller');
    await until(() => cluster.list(resources.events).some(({ reason }) => reason === 'SuccessfulDelete'), 'events are written');
    expect(events.map(({ message }) => message)).toContain('create Pod db-0 in StatefulSet db successful');
  });

  test('a pod that is not ready holds up those behind it; one that is deleted comes back under its name', async () => {
    const cluster = await start();
    let healthy = false;
    runPods(cluster, ({ metadata }) => metadata.name !== 'db-1' || healthy);
    await cluster.client.create(resources.statefulSets, statefulSet(3));
    await until(() => names(cluster).length === 2, 'the second is there');
    await settle();
    expect(names(cluster)).toEqual(['db-0', 'db-1']);
    healthy = true;
    await cluster.client.delete(resources.pods, 'db-1', 'default');
    await complete(cluster, 3);
    const old = cluster.get(resources.pods, 'default/db-0')!.metadata.uid;
    await cluster.client.delete(resources.pods, 'db-0', 'default');
    await until(() => (cluster.get(resources.pods, 'default/db-0')?.metadata.uid ?? old) !== old, 'it is another pod');
    await complete(cluster, 3);
  });

  test('Parallel waits for nobody; ordinals.start moves the first name; a change of it moves pods', async () => {
    const cluster = await start();
    runPods(cluster, () => false);
    await cluster.client.create(resources.statefulSets, statefulSet(3, { podManagementPolicy: 'Parallel', ordinals: { start: 5 } }));
    await until(() => names(cluster).length === 3, 'three pods');
    expect(names(cluster)).toEqual(['db-5', 'db-6', 'db-7']);
    await patch(cluster, { ordinals: { start: 6 } });
    await until(() => names(cluster).join() === 'db-6,db-7,db-8', 'they have moved on');
    await patch(cluster, { replicas: 0 });
    await until(() => names(cluster).length === 0, 'all go at once');
  });

  test('a failed pod is made again, told in an event', async () => {
    const cluster = await start();
    runPods(cluster);
    await cluster.client.create(resources.statefulSets, statefulSet(2));
    await complete(cluster, 2);
    const { uid } = cluster.get(resources.pods, 'default/db-0')!.metadata;
    await cluster.client.patch(resources.pods, 'db-0', 'default', 'merge', { status: { phase: 'Failed' } }, 'status');
    await until(() => (cluster.get(resources.pods, 'default/db-0')?.metadata.uid ?? uid) !== uid, 'it is another pod');
    await complete(cluster, 2);
    await until(() => cluster.list(resources.events).some(({ reason }) => reason === 'RecreatingFailedPod'), 'the event');
    expect(cluster.list(resources.events).find(({ reason }) => reason === 'RecreatingFailedPod')!.message).toBe(
      'StatefulSet default/db is recreating failed Pod db-0',
    );
  });

  test('volume claims are refused in clear words, and no pod is made', async () => {
    const cluster = await start();
    const claim = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'data' } };
    await cluster.client.create(resources.statefulSets, statefulSet(1, { volumeClaimTemplates: [claim] }));
    await until(() => cluster.list(resources.events).some(({ reason }) => reason === 'FailedCreate'), 'the event');
    await settle();
    expect(cluster.list(resources.events).find(({ reason }) => reason === 'FailedCreate')!.message).toBe(
      'create Claim data-db-0 for Pod db-0 in StatefulSet db failed error: PersistentVolumeClaims are not served by this cluster; remove spec.volumeClaimTemplates or use an emptyDir volume',
    );
    expect(names(cluster)).toEqual([]);
  });
});

describe('updating', () => {
  test('goes from the last to the first, one at a time, and back again makes the old revision the newest', async () => {
    const cluster = await start();
    runPods(cluster);
    await cluster.client.create(resources.statefulSets, statefulSet(3));
    await complete(cluster, 3);
    const first = statusOf(cluster)!.currentRevision;
    const writes = writesOf(cluster);
    let fewest = 3;
    cluster.cluster.informer(resources.pods).onChange(() => {
      fewest = Math.min(fewest, cluster.list(resources.pods).filter(isUp).length);
    });
    await setImage(cluster, 'db:2');
    await until(() => statusOf(cluster)!.updateRevision !== first, 'there is a second revision');
    await complete(cluster, 3);
    expect(writes).toEqual(['delete db-2', 'create db-2', 'delete db-1', 'create db-1', 'delete db-0', 'create db-0']);
    expect(fewest).toBe(2);
    await setImage(cluster, 'db:1');
    await until(() => statusOf(cluster)!.updateRevision === first, 'the first revision is wanted again');
    await complete(cluster, 3);
    expect(
      cluster
        .list(resources.controllerRevisions)
        .map(({ revision }) => revision)
        .sort(),
    ).toEqual([2, 3]);
  });

  test('pods below the partition stay as they are, also when they must be made again', async () => {
    const cluster = await start();
    runPods(cluster);
    await cluster.client.create(
      resources.statefulSets,
      statefulSet(3, { updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 2 } } }),
    );
    await complete(cluster, 3);
    await setImage(cluster, 'db:2');
    const images = (): string =>
      [0, 1, 2].map((ordinal) => cluster.get(resources.pods, `default/db-${ordinal}`)?.spec.containers[0]!.image).join();
    await until(() => images() === 'db:1,db:1,db:2', 'the last is new');
    await until(() => statusOf(cluster)!.updatedReplicas === 1 && statusOf(cluster)!.currentReplicas === 2, 'the status says so');
    await cluster.client.delete(resources.pods, 'db-0', 'default');
    await until(() => isUp(cluster.get(resources.pods, 'default/db-0') ?? ({ metadata: {} } as Pod)), 'it is back');
    expect(images()).toBe('db:1,db:1,db:2');
    await patch(cluster, { updateStrategy: { rollingUpdate: { partition: 0 } } });
    await complete(cluster, 3);
    expect(images()).toBe('db:2,db:2,db:2');
  });

  test('OnDelete updates what somebody deletes; old revisions beyond the limit go', async () => {
    const cluster = await start();
    runPods(cluster);
    await cluster.client.create(resources.statefulSets, statefulSet(2, { updateStrategy: { type: 'OnDelete' }, revisionHistoryLimit: 0 }));
    await until(() => statusOf(cluster)?.availableReplicas === 2, 'two pods');
    await setImage(cluster, 'db:2');
    await until(() => statusOf(cluster)!.updatedReplicas === 0, 'none is up to date');
    await settle();
    expect(cluster.list(resources.pods).every(({ spec }) => spec.containers[0]!.image === 'db:1')).toBe(true);
    await cluster.client.delete(resources.pods, 'db-0', 'default');
    await until(() => cluster.get(resources.pods, 'default/db-0')?.spec.containers[0]!.image === 'db:2', 'the deleted one is new');
  });

  test('minReadySeconds keeps the next one waiting', async () => {
    const cluster = await start();
    runPods(cluster);
    await cluster.client.create(resources.statefulSets, statefulSet(2, { minReadySeconds: 1 }));
    await until(() => statusOf(cluster)?.readyReplicas === 1, 'the first is ready');
    expect(statusOf(cluster)!.availableReplicas).toBe(0);
    expect(names(cluster)).toEqual(['db-0']);
    await until(() => names(cluster).length === 2, 'the second is made');
  });
});
