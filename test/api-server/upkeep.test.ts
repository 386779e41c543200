import { expect, it } from 'vitest';
import { createFakeClock } from '../../src/runtime/fake-clock.ts';
import { createMemoryStore } from '../../src/storage/index.ts';
import { inDefault, startTestServer } from './harness.ts';

const start = Date.parse('2026-01-01T00:00:00Z');
const event = (name: string, lastTimestamp: number) => ({
  apiVersion: 'v1',
  kind: 'Event',
  metadata: { name },
  involvedObject: { kind: 'Pod', namespace: 'default', name: 'p' },
  reason: 'Testing',
  message: 'hello',
  type: 'Normal',
  lastTimestamp: new Date(lastTimestamp).toISOString().replace('.000', ''),
});

it('events go an hour after they were last seen, and not before', async () => {
  const clock = createFakeClock(start);
  const api = await startTestServer({}, createMemoryStore(), clock);
  await api.expect(201, 'POST', inDefault('events'), event('once', start));
  await api.expect(201, 'POST', inDefault('events'), event('again', start));
  await clock.advance(30 * 60_000);
  await api.expect(200, 'PUT', inDefault('events', 'again'), event('again', clock.now()));
  await clock.advance(31 * 60_000);
  const names = async () =>
    (await api.expect(200, 'GET', inDefault('events'))).items.map(({ metadata }: { metadata: { name: string } }) => metadata.name);
  expect(await names()).toEqual(['again']);
  await clock.advance(30 * 60_000);
  expect(await names()).toEqual([]);
});

it('a Service kubernetes that somebody broke is mended', async () => {
  const clock = createFakeClock(start);
  const api = await startTestServer({}, createMemoryStore(), clock);
  await api.expect(200, 'DELETE', inDefault('services', 'kubernetes'));
  await api.expect(200, 'DELETE', inDefault('endpoints', 'kubernetes'));
  await clock.advance(11_000);
  expect((await api.expect(200, 'GET', inDefault('services', 'kubernetes'))).spec.clusterIP).toBe('10.96.0.1');
  await api.expect(200, 'GET', inDefault('endpoints', 'kubernetes'));
});

it('a quiet watch gets a bookmark a minute', async () => {
  const clock = createFakeClock(start);
  const api = await startTestServer({}, createMemoryStore(), clock);
  const watch = await api.watch(`${inDefault('pods')}?watch=1&allowWatchBookmarks=true&resourceVersion=${api.store.revision()}`);
  await clock.advance(61_000);
  expect((await watch.next()).type).toBe('BOOKMARK');
});
