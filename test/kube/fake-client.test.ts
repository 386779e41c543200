import { describe, expect, test } from 'vitest';
import { ApiError } from '../../src/kube/errors.ts';
import { createFakeClient } from '../../src/kube/fake-client.ts';
import { createFakeCluster } from '../../src/kube/fake-cluster.ts';
import { type ConfigMap, type Pod, resources } from '../../src/objects/index.ts';

const setUp = () => {
  const cluster = createFakeCluster();
  return { cluster, client: createFakeClient(cluster, { now: () => Date.parse('2030-01-01T00:00:00Z') }) };
};
const configMap = (change: Partial<ConfigMap['metadata']> = {}): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'c', namespace: 'default', ...change },
  data: { a: '1' },
});
const pod = (change: Partial<Pod['metadata']> = {}): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', namespace: 'default', ...change },
  spec: { containers: [{ name: 'm' }] },
});
const refused = (work: Promise<unknown>) =>
  work.then(
    () => 'accepted',
    (error: unknown) => (error instanceof ApiError ? `${error.code} ${error.reason}` : String(error)),
  );

describe('the fake client refuses what the API server refuses', () => {
  test('names taken, missing or wrong; namespaces that are missing or ending; revisions on create', async () => {
    const { client } = setUp();
    await client.create(resources.configMaps, configMap());
    expect(await refused(client.create(resources.configMaps, configMap()))).toBe('409 AlreadyExists');
    expect(await refused(client.create(resources.configMaps, configMap({ name: '' })))).toBe('422 Invalid');
    expect(await refused(client.create(resources.configMaps, configMap({ name: 'A_b' })))).toBe('422 Invalid');
    expect(await refused(client.create(resources.configMaps, configMap({ namespace: 'nope' })))).toBe('404 NotFound');
    expect(await refused(client.create(resources.configMaps, configMap({ name: 'd', resourceVersion: '1' })))).toBe('400 BadRequest');
    await client.create(resources.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
    await client.delete(resources.namespaces, 'shop');
    expect(await refused(client.create(resources.configMaps, configMap({ namespace: 'shop' })))).toBe('403 Forbidden');
  });

  test('stale revisions and wrong uids, on update, patch and delete', async () => {
    const { client } = setUp();
    const first = await client.create(resources.configMaps, configMap());
    const second = await client.update(resources.configMaps, { ...first, data: { a: '2' } });
    expect(Number(second.metadata.resourceVersion)).toBeGreaterThan(Number(first.metadata.resourceVersion));
    expect(await refused(client.update(resources.configMaps, { ...first, data: { a: '3' } }))).toBe('409 Conflict');
    expect(
      await refused(
        client.patch(resources.configMaps, 'c', 'default', 'merge', {
          metadata: { resourceVersion: first.metadata.resourceVersion },
          data: { a: '3' },
        }),
      ),
    ).toBe('409 Conflict');
    expect(await refused(client.patch(resources.configMaps, 'c', 'default', 'merge', { metadata: { uid: 'other' } }))).toBe('409 Conflict');
    expect(await refused(client.delete(resources.configMaps, 'c', 'default', { preconditions: { uid: 'other' } }))).toBe('409 Conflict');
    expect(
      (await client.patch(resources.configMaps, 'c', 'default', 'json', [{ op: 'replace', path: '/data/a', value: '4' }])).data,
    ).toEqual({ a: '4' });
  });

  test('binding twice, changing a pod or its status where it may not, changing a node CIDR', async () => {
    const { client } = setUp();
    await client.create(resources.pods, pod());
    const bind = () => client.createSubresource(resources.pods, 'p', 'default', 'binding', { target: { name: 'a' } });
    await bind();
    expect(await refused(bind())).toBe('409 Conflict');
    expect(await refused(client.patch(resources.pods, 'p', 'default', 'merge', { spec: { nodeName: 'b' } }))).toBe('422 Invalid');
    const mixed = await client.patch(
      resources.pods,
      'p',
      'default',
      'merge',
      { spec: { nodeName: 'b' }, status: { phase: 'Running' } },
      'status',
    );
    expect([mixed.spec.nodeName, mixed.status!.phase]).toEqual(['a', 'Running']);
    await client.create(resources.nodes, {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'n' },
      spec: { podCIDR: '10.0.0.0/24', podCIDRs: ['10.0.0.0/24'] },
    });
    expect(
      await refused(
        client.patch(resources.nodes, 'n', undefined, 'merge', { spec: { podCIDR: '10.0.1.0/24', podCIDRs: ['10.0.1.0/24'] } }),
      ),
    ).toBe('403 Forbidden');
  });
});

describe('deletion', () => {
  test('a bound pod stays for its grace period, an unbound one goes at once', async () => {
    const { client, cluster } = setUp();
    const store = cluster.informer(resources.pods).store;
    await client.create(resources.pods, pod());
    await client.delete(resources.pods, 'p', 'default');
    expect(store.size).toBe(0);
    await client.create(resources.pods, pod());
    await client.createSubresource(resources.pods, 'p', 'default', 'binding', { target: { name: 'a' } });
    await client.delete(resources.pods, 'p', 'default');
    expect(store.get('default/p')!.metadata).toMatchObject({ deletionTimestamp: '2030-01-01T00:00:30Z', deletionGracePeriodSeconds: 30 });
    await client.delete(resources.pods, 'p', 'default', { gracePeriodSeconds: 0 });
    expect(store.size).toBe(0);
  });

  test('finalizers hold an object until the last is taken away; a namespace until it is finalized', async () => {
    const { client, cluster } = setUp();
    await client.create(resources.configMaps, configMap());
    await client.delete(resources.configMaps, 'c', 'default', { propagationPolicy: 'Foreground' });
    const held = await client.get(resources.configMaps, 'c', 'default');
    expect(held.metadata.finalizers).toEqual(['foregroundDeletion']);
    await client.patch(resources.configMaps, 'c', 'default', 'merge', { metadata: { finalizers: null } });
    expect(await refused(client.get(resources.configMaps, 'c', 'default'))).toBe('404 NotFound');
    const namespace = await client.create(resources.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
    await client.delete(resources.namespaces, 'shop');
    expect(cluster.informer(resources.namespaces).store.get('shop')!.status!.phase).toBe('Terminating');
    await client.update(
      resources.namespaces,
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop', uid: namespace.metadata.uid! }, spec: { finalizers: [] } },
      'finalize',
    );
    expect(cluster.informer(resources.namespaces).store.size).toBe(0);
  });
});

test('generation counts changes of spec alone; lists select by labels and fields; the cache can be held back', async () => {
  const { client, cluster } = setUp();
  const spec = {
    replicas: 1,
    selector: { matchLabels: { a: 'b' } },
    template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'm' }] } },
  };
  await client.create(resources.replicaSets, {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name: 'r', namespace: 'default', labels: { x: '1' } },
    spec,
  });
  client.hold();
  await client.patch(resources.replicaSets, 'r', 'default', 'merge', { spec: { replicas: 2 } });
  const { metadata } = await client.patch(resources.replicaSets, 'r', 'default', 'merge', { metadata: { labels: { y: '2' } } });
  expect(metadata.generation).toBe(2);
  expect(cluster.informer(resources.replicaSets).store.get('default/r')!.spec.replicas).toBe(1);
  client.release();
  expect(cluster.informer(resources.replicaSets).store.get('default/r')!.spec.replicas).toBe(2);
  expect((await client.list(resources.replicaSets, { labelSelector: 'x=1,y!=3', fieldSelector: 'metadata.name=r' })).items).toHaveLength(1);
  expect((await client.list(resources.replicaSets, { namespace: 'other' })).items).toHaveLength(0);
});
