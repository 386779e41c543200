import { expect, test } from 'vitest';
import { createEventRecorder } from '../../src/kube/events.ts';
import { createFakeClient } from '../../src/kube/fake-client.ts';
import { createFakeCluster } from '../../src/kube/fake-cluster.ts';
import { type KubeObject, resources } from '../../src/objects/index.ts';
import { createFakeClock } from '../../src/runtime/fake-clock.ts';
import { silentLogger } from '../../src/runtime/log.ts';

const setUp = () => {
  const clock = createFakeClock(Date.parse('2030-01-01T00:00:00Z'));
  const cluster = createFakeCluster();
  const client = createFakeClient(cluster, clock);
  const recorder = createEventRecorder({ client, clock, log: silentLogger(), component: 'replicaset-controller', host: 'worker-1' });
  return { clock, cluster, client, recorder, events: () => [...cluster.informer(resources.events).store.values()] };
};
const pod: KubeObject = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'default', uid: 'u', resourceVersion: '7' } };
const note = (message: string, regarding = pod) => ({ regarding, type: 'Normal' as const, reason: 'Created', message });

test('an event says what happened to what, by whom and when', async () => {
  const { recorder, events } = setUp();
  recorder.record(note('Created container'));
  await recorder.flush();
  expect(events()).toMatchObject([
    {
      metadata: { name: expect.stringMatching(/^p\.[0-9a-f]{16}$/), namespace: 'default' },
      involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace: 'default', name: 'p', uid: 'u', resourceVersion: '7' },
      reason: 'Created',
      message: 'Created container',
      type: 'Normal',
      count: 1,
      firstTimestamp: '2030-01-01T00:00:00Z',
      lastTimestamp: '2030-01-01T00:00:00Z',
      source: { component: 'replicaset-controller', host: 'worker-1' },
      reportingComponent: 'replicaset-controller',
    },
  ]);
});

test('the same again raises the count of the first; another object or message makes another', async () => {
  const { clock, recorder, events } = setUp();
  recorder.record(note('x'));
  recorder.record(note('x'));
  await recorder.flush();
  await clock.advance(60_000);
  recorder.record(note('x'));
  recorder.record(note('y'));
  recorder.record(note('x', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n', uid: 'n' } }));
  await recorder.flush();
  expect(events().map(({ metadata, message, count, lastTimestamp }) => [metadata.namespace, message, count, lastTimestamp])).toEqual([
    ['default', 'x', 3, '2030-01-01T00:01:00Z'],
    ['default', 'y', 1, '2030-01-01T00:01:00Z'],
    ['default', 'x', 1, '2030-01-01T00:01:00Z'],
  ]);
});

test('many messages of one reason are combined from the tenth on, and one object cannot flood the API server', async () => {
  const { recorder, events, client } = setUp();
  for (let index = 0; index < 40; index++) recorder.record(note(`message ${index}`));
  await recorder.flush();
  expect(client.writes).toHaveLength(25);
  expect(events()).toHaveLength(11);
  expect(events().at(-1)).toMatchObject({ message: '(combined from similar events): message 24', count: 15 });
});

test('an event that was deleted meanwhile is made anew, and a failing server holds nobody up', async () => {
  const { recorder, events, client, cluster } = setUp();
  recorder.record(note('x'));
  await recorder.flush();
  cluster.remove(resources.events, `default/${events()[0]!.metadata.name}`);
  recorder.record(note('x'));
  await recorder.flush();
  expect(events()).toMatchObject([{ message: 'x', count: 2 }]);
  client.failWhen(() => new Error('connect ECONNREFUSED'));
  recorder.record(note('lost'));
  await recorder.flush();
  expect(events()).toHaveLength(1);
});

test('components that tell something of one object in the same millisecond are all heard', async () => {
  const { clock, client, recorder, events } = setUp();
  const others = ['a', 'b', 'c'].map((component) => createEventRecorder({ client, clock, log: silentLogger(), component }));
  for (const [index, one] of [recorder, ...others].entries()) one.record(note(`message ${index}`));
  await Promise.all([recorder, ...others].map((one) => one.flush()));
  expect(events().map(({ message }) => message)).toEqual(['message 0', 'message 1', 'message 2', 'message 3']);
});
