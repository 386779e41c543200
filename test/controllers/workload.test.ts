import { afterEach, describe, expect, test } from 'vitest';
import { isNotFound } from '../../src/kube/errors.ts';
import { resources } from '../../src/objects/index.ts';
import { deployment, node, runPods, service, settle, startCluster, type TestCluster, until } from './harness.ts';

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

const rollout = (cluster: TestCluster, name = 'web') => cluster.get(resources.deployments, `default/${name}`);
const complete = (cluster: TestCluster, replicas: number, name = 'web') =>
  until(() => {
    const { status, metadata } = rollout(cluster, name)!;
    return (
      status?.updatedReplicas === replicas &&
      status.replicas === replicas &&
      status.availableReplicas === replicas &&
      status.observedGeneration === metadata.generation
    );
  }, `${name} has ${replicas} available replicas`);
const messages = (cluster: TestCluster, reason: string) =>
  cluster
    .list(resources.events)
    .filter((event) => event.reason === reason)
    .map((event) => event.message);

describe('the first three commands', () => {
  test('a deployment becomes a replica set, pods on different nodes, endpoints; each with its owner, names and events', async () => {
    const cluster = await start('control', 'worker-1', 'worker-2');
    runPods(cluster);
    await cluster.client.create(resources.services, service('web'));
    await cluster.client.create(resources.deployments, deployment('web', 3));
    await complete(cluster, 3);
    const [replicaSet] = cluster.list(resources.replicaSets);
    expect(replicaSet!.metadata.name).toMatch(/^web-[bcdfghjklmnpqrstvwxz2456789]{1,10}$/);
    const hash = replicaSet!.metadata.name.slice(4);
    expect(replicaSet!.metadata.labels).toEqual({ app: 'web', 'pod-template-hash': hash });
    expect(replicaSet!.spec.selector.matchLabels).toEqual({ app: 'web', 'pod-template-hash': hash });
    expect(rollout(cluster)!.metadata.annotations).toEqual({ 'deployment.kubernetes.io/revision': '1' });
    const pods = cluster.list(resources.pods);
    expect(new Set(pods.map((pod) => pod.spec.nodeName))).toEqual(new Set(['control', 'worker-1', 'worker-2']));
    for (const pod of pods) {
      expect(pod.metadata.name).toMatch(new RegExp(`^${replicaSet!.metadata.name}-[a-z0-9]{5}$`));
      expect(pod.metadata.ownerReferences).toEqual([
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          name: replicaSet!.metadata.name,
          uid: replicaSet!.metadata.uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ]);
    }
    await until(() => messages(cluster, 'Scheduled').length === 3, 'events are written');
    expect(messages(cluster, 'ScalingReplicaSet')).toEqual([`Scaled up replica set ${replicaSet!.metadata.name} from 0 to 3`]);
    expect(messages(cluster, 'SuccessfulCreate').sort()).toEqual(pods.map((pod) => `Created pod: ${pod.metadata.name}`).sort());
    expect(messages(cluster, 'Scheduled').sort()).toEqual(
      pods.map((pod) => `Successfully assigned default/${pod.metadata.name} to ${pod.spec.nodeName}`).sort(),
    );
    await until(() => cluster.list(resources.endpointSlices).every((slice) => slice.endpoints.length === 3), 'slices hold all pods');
    expect(
      cluster
        .list(resources.endpointSlices)
        .map((slice) => slice.addressType)
        .sort(),
    ).toEqual(['IPv4', 'IPv6']);
    expect(rollout(cluster)!.status!.conditions).toMatchObject([
      { type: 'Available', status: 'True', reason: 'MinimumReplicasAvailable', message: 'Deployment has minimum availability.' },
      {
        type: 'Progressing',
        status: 'True',
        reason: 'NewReplicaSetAvailable',
        message: `ReplicaSet "${replicaSet!.metadata.name}" has successfully progressed.`,
      },
    ]);
  });

  test('from the deployment to its bound pods takes a few tens of milliseconds, and no pod too many is ever made', async () => {
    const cluster = await start('a', 'b');
    const begin = performance.now();
    await cluster.client.create(resources.deployments, deployment('web', 3));
    await until(() => cluster.list(resources.pods).filter((pod) => pod.spec.nodeName).length === 3, 'three pods are bound');
    expect(performance.now() - begin).toBeLessThan(500);
    await settle();
    expect(cluster.client.writes.filter((write) => write.startsWith('create pods default'))).toHaveLength(3);
  });

  test('scaling up and down changes the same replica set, tells it in an event, and is no new revision', async () => {
    const cluster = await start('a', 'b');
    runPods(cluster);
    await cluster.client.create(resources.deployments, deployment('web', 1));
    await complete(cluster, 1);
    await cluster.client.patch(resources.deployments, 'web', 'default', 'merge', { spec: { replicas: 4 } });
    await complete(cluster, 4);
    await cluster.client.patch(resources.deployments, 'web', 'default', 'merge', { spec: { replicas: 2 } });
    await complete(cluster, 2);
    await until(() => cluster.list(resources.pods).length === 2, 'two pods are left');
    const name = cluster.list(resources.replicaSets)[0]!.metadata.name;
    await until(() => messages(cluster, 'ScalingReplicaSet').length === 3, 'three events');
    expect(messages(cluster, 'ScalingReplicaSet')).toEqual(
      [0, 1, 2].map(
        (step) =>
          [
            `Scaled up replica set ${name} from 0 to 1`,
            `Scaled up replica set ${name} from 1 to 4`,
            `Scaled down replica set ${name} from 4 to 2`,
          ][step],
      ),
    );
    expect(rollout(cluster)!.metadata.annotations!['deployment.kubernetes.io/revision']).toBe('1');
  });

  test('a deleted pod is replaced', async () => {
    const cluster = await start('a');
    runPods(cluster);
    await cluster.client.create(resources.deployments, deployment('web', 2));
    await complete(cluster, 2);
    const victim = cluster.list(resources.pods)[0]!.metadata.name;
    await cluster.client.delete(resources.pods, victim, 'default');
    await until(() => cluster.list(resources.pods).length === 2 && !cluster.get(resources.pods, `default/${victim}`), 'a new pod is there');
    await complete(cluster, 2);
  });

  test('while the watch is far behind, nothing is made twice and deletion takes the right number', async () => {
    const cluster = await start('a');
    cluster.client.hold();
    await cluster.client.create(resources.deployments, deployment('web', 5));
    cluster.client.release();
    cluster.client.hold();
    await settle(150);
    const creates = () => cluster.client.writes.filter((write) => write.startsWith('create pods default')).length;
    expect(creates()).toBe(5);
    expect(cluster.list(resources.pods)).toHaveLength(0);
    cluster.client.release();
    await settle();
    expect(creates()).toBe(5);
    cluster.client.hold();
    const name = cluster.list(resources.replicaSets)[0]!.metadata.name;
    await cluster.client.patch(resources.deployments, 'web', 'default', 'merge', { spec: { replicas: 2 } });
    cluster.client.release();
    cluster.client.hold();
    await settle(150);
    expect(cluster.client.writes.filter((write) => write.startsWith(`delete pods default/${name}`))).toHaveLength(3);
    cluster.client.release();
    await settle();
    expect(cluster.client.writes.filter((write) => write.startsWith(`delete pods default/${name}`))).toHaveLength(3);
  });
});

describe('rolling out', () => {
  test('a new template is rolled out within its limits, becomes revision 2, and rolling back makes the old replica set revision 3', async () => {
    const cluster = await start('a', 'b');
    runPods(cluster);
    await cluster.client.create(
      resources.deployments,
      deployment('web', 4, { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } } }),
    );
    await complete(cluster, 4);
    const first = cluster.list(resources.replicaSets)[0]!;
    let fewest = 4;
    let most = 4;
    cluster.cluster.informer(resources.pods).onChange(() => {
      const pods = cluster.list(resources.pods).filter((pod) => !pod.metadata.deletionTimestamp);
      most = Math.max(most, pods.length);
      fewest = Math.min(
        fewest,
        pods.filter((pod) => pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')).length,
      );
    });
    await cluster.client.patch(resources.deployments, 'web', 'default', 'merge', {
      spec: { template: { spec: { containers: [{ name: 'main', image: 'nginx:2' }] } } },
    });
    await until(() => cluster.list(resources.replicaSets).length === 2, 'there is a second replica set');
    await complete(cluster, 4);
    expect([fewest, most]).toEqual([4, 5]);
    expect(rollout(cluster)!.metadata.annotations!['deployment.kubernetes.io/revision']).toBe('2');
    await cluster.client.patch(resources.deployments, 'web', 'default', 'merge', {
      spec: { template: { spec: { containers: [{ name: 'main', image: 'nginx' }] } } },
    });
    await until(
      () => cluster.get(resources.replicaSets, `default/${first.metadata.name}`)!.spec.replicas === 4,
      'the first replica set is back',
    );
    await complete(cluster, 4);
    await until(() => rollout(cluster)!.metadata.annotations!['deployment.kubernetes.io/revision'] === '3', 'the revision is 3');
    expect(cluster.get(resources.replicaSets, `default/${first.metadata.name}`)!.metadata.annotations).toMatchObject({
      'deployment.kubernetes.io/revision': '3',
      'deployment.kubernetes.io/revision-history': '1',
    });
  });

  test('a broken image stops the rollout with the old pods in place', async () => {
    const cluster = await start('a');
    runPods(cluster, (pod) => pod.spec.containers[0]!.image !== 'broken');
    await cluster.client.create(resources.deployments, deployment('web', 4));
    await complete(cluster, 4);
    await cluster.client.patch(resources.deployments, 'web', 'default', 'merge', {
      spec: { template: { spec: { containers: [{ name: 'main', image: 'broken' }] } } },
    });
    await until(() => rollout(cluster)!.status?.updatedReplicas === 2, 'the new replica set has grown to its limit');
    await settle(100);
    const sizes = cluster
      .list(resources.replicaSets)
      .map((replicaSet) => replicaSet.spec.replicas)
      .sort();
    expect(sizes).toEqual([2, 3]);
    expect(rollout(cluster)!.status).toMatchObject({ availableReplicas: 3, unavailableReplicas: 2, updatedReplicas: 2 });
  });

  test('Recreate waits until the last old pod is gone', async () => {
    const cluster = await start('a');
    runPods(cluster);
    await cluster.client.create(resources.deployments, deployment('web', 2, { strategy: { type: 'Recreate' } }));
    await complete(cluster, 2);
    let mixed = false;
    cluster.cluster.informer(resources.pods).onChange(() => {
      mixed ||= new Set(cluster.list(resources.pods).map((pod) => pod.metadata.labels!['pod-template-hash'])).size > 1;
    });
    await cluster.client.patch(resources.deployments, 'web', 'default', 'merge', {
      spec: { template: { spec: { containers: [{ name: 'main', image: 'b' }] } } },
    });
    await until(() => cluster.list(resources.pods).some((pod) => pod.spec.containers[0]!.image === 'b'), 'a new pod is there');
    await complete(cluster, 2);
    expect(mixed).toBe(false);
  });

  test('a paused deployment rolls nothing out, scales all the same, and goes on when resumed', async () => {
    const cluster = await start('a');
    runPods(cluster);
    await cluster.client.create(resources.deployments, deployment('web', 2));
    await complete(cluster, 2);
    await cluster.client.patch(resources.deployments, 'web', 'default', 'merge', {
      spec: { paused: true, template: { spec: { containers: [{ name: 'main', image: 'b' }] } } },
    });
    await until(
      () => rollout(cluster)!.status!.conditions!.some(({ reason }) => reason === 'DeploymentPaused'),
      'it says that it is paused',
    );
    await cluster.client.patch(resources.deployments, 'web', 'default', 'merge', { spec: { replicas: 3 } });
    await until(() => cluster.list(resources.pods).length === 3, 'three pods');
    expect(cluster.list(resources.replicaSets)).toHaveLength(1);
    await cluster.client.patch(resources.deployments, 'web', 'default', 'merge', { spec: { paused: null } });
    await until(() => cluster.list(resources.replicaSets).length === 2, 'the rollout goes on');
    await complete(cluster, 3);
  });

  test('old revisions beyond the history limit are deleted', async () => {
    const cluster = await start('a');
    runPods(cluster);
    await cluster.client.create(resources.deployments, deployment('web', 1, { revisionHistoryLimit: 1 }));
    await complete(cluster, 1);
    for (const image of ['b', 'c', 'd']) {
      await cluster.client.patch(resources.deployments, 'web', 'default', 'merge', {
        spec: { template: { spec: { containers: [{ name: 'main', image }] } } },
      });
      await until(
        () => cluster.list(resources.replicaSets).some((replicaSet) => replicaSet.spec.template!.spec.containers[0]!.image === image),
        `${image} is there`,
      );
      await complete(cluster, 1);
    }
    await until(() => cluster.list(resources.replicaSets).length === 2, 'one old replica set is left');
    expect(
      cluster
        .list(resources.replicaSets)
        .map((replicaSet) => replicaSet.spec.template!.spec.containers[0]!.image)
        .sort(),
    ).toEqual(['c', 'd']);
  });

  test('a replica set of that name that is not ours makes another hash', async () => {
    const cluster = await start('a');
    await cluster.client.create(resources.deployments, deployment('web', 0));
    await until(() => cluster.list(resources.replicaSets).length === 1, 'the replica set is made');
    const [mine] = cluster.list(resources.replicaSets);
    await cluster.client.delete(resources.deployments, 'web', 'default', { propagationPolicy: 'Orphan' });
    await until(() => cluster.list(resources.deployments).length === 0, 'the deployment is gone');
    const free = cluster.get(resources.replicaSets, `default/${mine!.metadata.name}`)!;
    expect(free.metadata.ownerReferences).toBeUndefined();
    await cluster.client.patch(resources.replicaSets, free.metadata.name, 'default', 'merge', {
      metadata: { ownerReferences: [{ apiVersion: 'x/v1', kind: 'Other', name: 'o', uid: 'o', controller: true }] },
    });
    await cluster.client.create(resources.deployments, deployment('web', 1));
    await until(() => cluster.list(resources.replicaSets).length === 2, 'another replica set is made');
    expect(rollout(cluster)!.status!.collisionCount).toBe(1);
  });
});

describe('owners', () => {
  test('an orphan that matches is adopted, a pod whose label is taken away is released and replaced', async () => {
    const cluster = await start('a');
    runPods(cluster);
    await cluster.client.create(resources.deployments, deployment('web', 2));
    await complete(cluster, 2);
    const [pod] = cluster.list(resources.pods);
    const { name, labels } = pod!.metadata;
    await cluster.client.patch(resources.pods, name, 'default', 'merge', { metadata: { labels: { app: 'other' } } });
    await until(
      () => cluster.list(resources.pods).length === 3 && !cluster.get(resources.pods, `default/${name}`)!.metadata.ownerReferences,
      'it is released and replaced',
    );
    await cluster.client.patch(resources.pods, name, 'default', 'merge', { metadata: { labels } });
    await until(() => cluster.list(resources.pods).length === 2, 'it is adopted and one too many deleted');
  });

  test('deleting a deployment deletes what it owns; foreground waits for it', async () => {
    const cluster = await start('a');
    runPods(cluster);
    await cluster.client.create(resources.deployments, deployment('web', 2));
    await complete(cluster, 2);
    await cluster.client.delete(resources.deployments, 'web', 'default', { propagationPolicy: 'Foreground' });
    expect(cluster.list(resources.deployments)).toHaveLength(1);
    await until(() => cluster.list(resources.deployments).length === 0, 'the deployment is gone');
    expect(cluster.list(resources.replicaSets)).toHaveLength(0);
    expect(cluster.list(resources.pods)).toHaveLength(0);
    await cluster.client.create(resources.deployments, deployment('web', 2));
    await complete(cluster, 2);
    await cluster.client.delete(resources.deployments, 'web', 'default', { propagationPolicy: 'Background' });
    expect(cluster.list(resources.deployments)).toHaveLength(0);
    await until(() => cluster.list(resources.pods).length === 0, 'the pods are gone');
  });

  test('nothing is deleted for an owner that the API server knows but the cache does not show yet', async () => {
    const cluster = await start('a');
    const owner = await cluster.client.create(resources.configMaps, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'owner', namespace: 'default' },
    });
    cluster.client.hold();
    const other = await cluster.client.create(resources.configMaps, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'late', namespace: 'default' },
    });
    const references = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'late', uid: other.metadata.uid! }];
    cluster.cluster.set(resources.configMaps, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'child', namespace: 'default', uid: 'child', resourceVersion: '1', ownerReferences: references },
    });
    await settle(100);
    expect(cluster.client.writes.filter((write) => write.startsWith('delete'))).toEqual([]);
    cluster.client.release();
    await cluster.client.delete(resources.configMaps, 'late', 'default');
    await until(() => !cluster.get(resources.configMaps, 'default/child'), 'the child goes with its owner');
    expect(await cluster.client.get(resources.configMaps, 'owner', 'default')).toMatchObject({ metadata: { uid: owner.metadata.uid } });
  });

  test('an owner of the same name with another uid is no owner; what has no namespace is not judged by an owner that has one', async () => {
    const cluster = await start('a');
    const owner = await cluster.client.create(resources.configMaps, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'owner', namespace: 'default' },
    });
    const child = (name: string, uid: string, namespace?: string) => ({
      apiVersion: 'v1',
      kind: namespace ? 'ConfigMap' : 'Node',
      metadata: {
        name,
        ...(namespace ? { namespace } : {}),
        ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid }],
      },
    });
    await cluster.client.create(resources.configMaps, child('own', owner.metadata.uid!, 'default'));
    await cluster.client.create(resources.configMaps, child('stale', 'other-uid', 'default'));
    await cluster.client.create(resources.nodes, child('n', 'other-uid'));
    await until(() => !cluster.get(resources.configMaps, 'default/stale'), 'the one with the wrong uid goes');
    await settle();
    expect(cluster.get(resources.configMaps, 'default/own')).toBeDefined();
    expect(cluster.get(resources.nodes, 'n')).toBeDefined();
  });

  test('a namespace that is deleted is emptied and let go', async () => {
    const cluster = await start('a');
    runPods(cluster);
    await cluster.client.create(resources.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
    await until(() => cluster.get(resources.serviceAccounts, 'shop/default'), 'it has its service account');
    const web = deployment('web', 3);
    await cluster.client.create(resources.deployments, { ...web, metadata: { ...web.metadata, namespace: 'shop' } });
    await until(() => cluster.list(resources.pods, 'shop').length === 3, 'its pods run');
    await cluster.client.delete(resources.namespaces, 'shop');
    await until(() => !cluster.get(resources.namespaces, 'shop'), 'it is gone');
    for (const resource of Object.values(resources).filter(({ namespaced }) => namespaced))
      expect(cluster.list(resource, 'shop'), resource.plural).toEqual([]);
    await expect(cluster.client.get(resources.namespaces, 'shop')).rejects.toSatisfy(isNotFound);
  });
});
