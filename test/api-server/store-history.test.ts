import { expect, it } from 'vitest';
import { CompactedError, createMemoryStore, type Store, type StoreWatchSignals } from '../../src/storage/index.ts';
import { configMap, inDefault, startTestServer } from './harness.ts';

const path = inDefault('configmaps');

/** A store whose watch can be cut, as etcd's is when its history is compacted while it is out of reach. */
function breakableStore(): { store: Store; cut(): void; lose(): void } {
  const inner = createMemoryStore();
  let watched: { stop(): void; signals: StoreWatchSignals | undefined } | undefined;
  return {
    store: {
      ...inner,
      async watch(prefix, from, listener, signals) {
        const subscription = await inner.watch(prefix, from, listener, signals);
        watched = { stop: () => subscription.stop(), signals };
        return subscription;
      },
    },
    cut: () => watched!.stop(),
    lose: () => watched!.signals?.lost?.(new CompactedError(inner.revision())),
  };
}

it('bridges a gap in the history: watchers are told what changed, who comes back from within it gets 410', async () => {
  const { store, cut, lose } = breakableStore();
  const api = await startTestServer({}, store);
  for (const name of ['changed', 'gone', 'same']) await api.expect(201, 'POST', path, configMap(name));
  const before = api.store.revision();
  const watch = await api.watch(`${path}?watch=1&resourceVersion=${before}`);
  const selected = await api.watch(`${path}?watch=1&resourceVersion=${before}&labelSelector=app%3Dx`);

  cut();
  const key = (name: string): string => `/registry/configmaps/default/${name}`;
  const rewrite = async (name: string, from: string, to: string): Promise<void> => {
    const value = (await store.get(key(from)))!.value.replaceAll(`"name":"${from}"`, `"name":"${to}"`);
    await store.commit({ conditions: [], writes: [{ put: { key: key(name), value } }] });
  };
  await rewrite('new', 'same', 'new');
  await rewrite('changed', 'changed', 'changed');
  const within = store.revision();
  await rewrite('changed', 'changed', 'changed');
  await store.commit({ conditions: [], writes: [{ delete: { key: key('gone') } }] });
  lose();

  const seen = [await watch.next(), await watch.next(), await watch.next()];
  expect(seen.map(({ type, object }) => [type, object.metadata.name])).toEqual([
    ['ADDED', 'new'],
    ['MODIFIED', 'changed'],
    ['DELETED', 'gone'],
  ]);
  expect(Number(seen[2]!.object.metadata.resourceVersion)).toBe(store.revision());
  const late = await api.watch(`${path}?watch=1&resourceVersion=${within}`);
  expect(await late.rest()).toMatchObject([{ type: 'ERROR', object: { code: 410 } }]);
  await api.expect(201, 'POST', path, configMap('after', {}, { labels: { app: 'x' } }));
  expect((await watch.next()).object.metadata.name).toBe('after');
  expect((await selected.next()).object.metadata.name).toBe('after');
  expect((await api.expect(200, 'GET', path)).items.map(({ metadata }: { metadata: { name: string } }) => metadata.name)).toEqual(
    expect.arrayContaining(['after', 'changed', 'new', 'same']),
  );
});

it('keeps the history of config maps through a storm of lease renewals, and says of leases that theirs is gone', {
  timeout: 60_000,
}, async () => {
  const api = await startTestServer({}, createMemoryStore({ historyRevisions: 200 }));
  await api.expect(201, 'POST', path, configMap('a'));
  const { metadata } = await api.expect(200, 'GET', path);
  const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';
  const merge = { 'content-type': 'application/merge-patch+json' };
  const lease = {
    kind: 'Lease',
    apiVersion: 'coordination.k8s.io/v1',
    metadata: { name: 'n' },
    spec: { holderIdentity: 'h0', leaseDurationSeconds: 40 },
  };
  await api.expect(201, 'POST', leases, lease);
  const since = api.store.revision();
  for (let i = 1; i < 1_300; i++) await api.expect(200, 'PATCH', `${leases}/n`, { spec: { holderIdentity: `h${i}` } }, merge);
  await api.expect(200, 'PUT', `${path}/a`, configMap('a', { x: '1' }));
  const watch = await api.watch(`${path}?watch=1&resourceVersion=${metadata.resourceVersion}`);
  expect((await watch.next()).object['data']).toEqual({ x: '1' });
  const expired = await api.watch(`${leases}?watch=1&resourceVersion=${since}`);
  expect(await expired.rest()).toMatchObject([{ type: 'ERROR', object: { code: 410, reason: 'Expired' } }]);
});
