import { expect, it } from 'vitest';
import { isConflict, isNotFound } from '../../src/kube/errors.ts';
import { createKubeClient } from '../../src/kube/http-client.ts';
import { startInformer } from '../../src/kube/reflector.ts';
import { type ConfigMap, resources } from '../../src/objects/index.ts';
import { cleanup, startTestServer, testContext } from './harness.ts';

it("podwire's own client and informers work against the server", async () => {
  const api = await startTestServer();
  const client = createKubeClient({ server: api.url } as Parameters<typeof createKubeClient>[0], 'test');
  cleanup(() => client.close());
  const informer = startInformer({ ...testContext(), client }, resources.configMaps, {});
  cleanup(() => informer.stop());
  await informer.whenSynced();
  const object: ConfigMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', namespace: 'default' }, data: { x: '1' } };
  const made = await client.create(resources.configMaps, object);
  await client.update(resources.configMaps, { ...made, data: { x: '2' } });
  await expect(client.update(resources.configMaps, { ...made, data: { x: '3' } })).rejects.toSatisfy(isConflict);
  const eventually = async (check: () => boolean): Promise<void> => {
    for (let i = 0; i < 250 && !check(); i++) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(check()).toBe(true);
  };
  await eventually(() => informer.store.get('default/a')?.data?.['x'] === '2');
  await client.patch(resources.configMaps, 'a', 'default', 'merge', { metadata: { labels: { l: 'v' } } });
  expect((await client.list(resources.configMaps, { labelSelector: 'l=v' })).items).toHaveLength(1);
  await client.delete(resources.configMaps, 'a', 'default', { preconditions: { uid: made.metadata.uid! } });
  await expect(client.get(resources.configMaps, 'a', 'default')).rejects.toSatisfy(isNotFound);
  await eventually(() => informer.store.size === 0);
});
