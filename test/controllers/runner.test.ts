import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { type Controller, type Failure, watch } from '../../src/controllers/index.ts';
import { createExecutor } from '../../src/controllers/effects/execute.ts';
import { createQueueMetrics } from '../../src/controllers/effects/metrics.ts';
import { startController } from '../../src/controllers/effects/runner.ts';
import { createLiveView } from '../../src/controllers/effects/view.ts';
import { createEventRecorder } from '../../src/kube/events.ts';
import { createFakeClient } from '../../src/kube/fake-client.ts';
import { createFakeCluster } from '../../src/kube/fake-cluster.ts';
import { type ConfigMap, objectKey, resources } from '../../src/objects/index.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLogger } from '../../src/runtime/log.ts';
import { settle, until } from './harness.ts';

const setUp = () => {
  const cluster = createFakeCluster();
  const client = createFakeClient(cluster, systemClock);
  const view = createLiveView({ cluster, clock: systemClock, inTouchSince: () => 0 });
  const log = silentLogger();
  const registry = new Registry();
  const metrics = createQueueMetrics(registry);
  const events = createEventRecorder({ client, clock: systemClock, log, component: 'test' });
  const { run } = createExecutor({ client, view, events, active: () => true });
  const start = (controller: Partial<Controller> & Pick<Controller, 'reconcile'>) =>
    startController(
      {
        name: 'test',
        component: 'test',
        workers: 4,
        watches: [watch(resources.configMaps, (before, after) => [objectKey((after ?? before)!)])],
        ...controller,
      },
      { view, clock: systemClock, log, metrics, random: () => 0, run },
    );
  return { cluster, client, view, registry, start };
};
const configMap = (name: string): ConfigMap => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' } });
const touch = (object: ConfigMap, value: string) =>
  ({ do: 'patch', resource: resources.configMaps, object, patch: { data: { touched: value } } }) as const;

test('a key is never in hand twice, and what changes meanwhile brings it again', async () => {
  const { client, view, cluster, start } = setUp();
  let together = 0;
  let most = 0;
  let turns = 0;
  const patch = client.patch;
  client.patch = async (...call) => {
    most = Math.max(most, ++together);
    const result = await patch(...(call as Parameters<typeof patch>));
    together--;
    return result as never;
  };
  const running = start({
    reconcile(key) {
      const object = view.get(resources.configMaps, key)!;
      return ++turns < 20 ? { actions: [touch(object, String(turns))] } : { actions: [] };
    },
  });
  await client.create(resources.configMaps, configMap('a'));
  await until(() => turns >= 20, 'it has run 20 times');
  expect(most).toBe(1);
  expect(cluster.informer(resources.configMaps).store.get('default/a')!.data).toEqual({ touched: '19' });
  await running.stop();
});

test('a key that always fails, and a controller that always throws, hold up nobody; failures are counted and told to the controller', async () => {
  const { client, view, registry, start } = setUp();
  const heal = client.failWhen((write) => (write.includes('bad') && write.startsWith('patch') ? new Error('no') : undefined));
  const failures: (Failure | undefined)[] = [];
  const done = new Set<string>();
  const reconcile: Controller['reconcile'] = (key, _view, failure) => {
    const object = view.get(resources.configMaps, key)!;
    if (key === 'default/bad') failures.push(failure);
    if (object.data) done.add(key);
    return object.data ? { actions: [] } : { actions: [touch(object, 'x')] };
  };
  const running = [
    start({
      name: 'broken',
      reconcile() {
        throw new Error('broken');
      },
    }),
    start({ reconcile }),
  ];
  await client.create(resources.configMaps, configMap('bad'));
  for (const name of ['b', 'c', 'd', 'e', 'f']) await client.create(resources.configMaps, configMap(name));
  await until(() => done.size === 5, 'all others are done');
  await until(() => failures.length > 2, 'it is tried again');
  expect(failures.slice(0, 2)).toEqual([undefined, { message: 'Error: no', action: 'patch' }]);
  expect(await registry.metrics()).toMatch(/workqueue_retries_total\{name="test"\} [1-9]/);
  heal();
  await until(() => done.has('default/bad'), 'it is done at last');
  for (const controller of running) await controller.stop();
});

test('a stopped controller finishes what it has in hand and writes nothing more', async () => {
  const { client, view, start } = setUp();
  const running = start({ reconcile: (key) => ({ actions: [touch(view.get(resources.configMaps, key)!, String(Math.random()))] }) });
  await client.create(resources.configMaps, configMap('a'));
  await until(() => client.writes.length > 3, 'it writes');
  await running.stop();
  const writes = client.writes.length;
  await settle();
  expect(client.writes.length).toBe(writes);
});

test('our own writes are in the view at once, and give way to what the watch shows later', async () => {
  const { client, cluster, view } = setUp();
  client.hold();
  const made = await client.create(resources.configMaps, configMap('a'));
  const store = view.store(resources.configMaps);
  store.written(made);
  expect(view.get(resources.configMaps, 'default/a')).toEqual(made);
  const newer = await client.patch(resources.configMaps, 'a', 'default', 'merge', { data: { x: '1' } });
  client.release();
  expect(view.get(resources.configMaps, 'default/a')).toEqual(newer);
  // A late answer to an older write changes nothing any more.
  store.written(made);
  expect(view.get(resources.configMaps, 'default/a')).toEqual(newer);
  store.deleting(newer);
  expect(view.get(resources.configMaps, 'default/a')!.metadata.deletionTimestamp).toBeDefined();
  await client.delete(resources.configMaps, 'a', 'default');
  expect(view.get(resources.configMaps, 'default/a')).toBeUndefined();
  store.written(newer);
  expect(view.list(resources.configMaps)).toEqual([]);
  // The same name again is another object: the mark does not stick to it.
  await client.create(resources.configMaps, configMap('a'));
  expect(view.get(resources.configMaps, 'default/a')!.metadata.deletionTimestamp).toBeUndefined();
  expect(cluster.informer(resources.configMaps).store.size).toBe(1);
});
