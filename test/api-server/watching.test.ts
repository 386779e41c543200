import { createConnection } from 'node:net';
import { describe, expect, it } from 'vitest';
import { createMemoryStore, openEmbeddedStore } from '../../src/storage/index.ts';
import { cleanup, configMap, inDefault, pod, startTestServer, temporaryFolder } from './harness.ts';

const path = inDefault('configmaps');
const put = (name: string, data: Record<string, string>, labels: Record<string, string> = {}) => configMap(name, data, { labels });
const brief = ({ type, object }: { type: string; object: { metadata: { name: string } } }) => `${type} ${object.metadata.name}`;

describe('watching', () => {
  it('goes on from the revision of a list, event by event', async () => {
    const api = await startTestServer();
    await api.expect(201, 'POST', path, put('a', {}));
    const { metadata } = await api.expect(200, 'GET', path);
    await api.expect(201, 'POST', path, put('b', {}));
    const watch = await api.watch(`${path}?watch=1&resourceVersion=${metadata.resourceVersion}`);
    await api.expect(200, 'PUT', `${path}/a`, put('a', { x: '1' }));
    await api.expect(200, 'DELETE', `${path}/b`);
    const events = [await watch.next(), await watch.next(), await watch.next()];
    expect(events.map(brief)).toEqual(['ADDED b', 'MODIFIED a', 'DELETED b']);
    const revisions = events.map(({ object }) => Number(object.metadata.resourceVersion));
    // A deletion has a revision of its own.
    expect(revisions).toEqual([...revisions].sort((a, b) => a - b));
    expect(revisions[2]).toBe(api.store.revision());
    expect(events[0]!.object).toMatchObject({ kind: 'ConfigMap', apiVersion: 'v1' });
  });

  it('starts with what there is when no revision is given', async () => {
    const api = await startTestServer();
    await api.expect(201, 'POST', path, put('a', {}));
    const watch = await api.watch(`${path}?watch=true`);
    expect(brief(await watch.next())).toBe('ADDED a');
    await api.expect(201, 'POST', path, put('b', {}));
    expect(brief(await watch.next())).toBe('ADDED b');
  });

  it('streams the whole list and marks its end when asked to', async () => {
    const api = await startTestServer();
    for (const name of ['a', 'b']) await api.expect(201, 'POST', path, put(name, {}));
    const watch = await api.watch(`${path}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`);
    expect([brief(await watch.next()), brief(await watch.next())]).toEqual(['ADDED a', 'ADDED b']);
    const end = await watch.next();
    expect(end).toMatchObject({
      type: 'BOOKMARK',
      object: {
        kind: 'ConfigMap',
        metadata: { resourceVersion: String(api.store.revision()), annotations: { 'k8s.io/initial-events-end': 'true' } },
      },
    });
    await api.expect(201, 'POST', path, put('c', {}));
    expect(brief(await watch.next())).toBe('ADDED c');
    for (const query of [
      'sendInitialEvents=true',
      'resourceVersionMatch=NotOlderThan',
      'sendInitialEvents=true&resourceVersionMatch=Exact',
    ]) {
      await api.expect(422, 'GET', `${path}?watch=1&${query}`);
    }
  });

  it('shows an object that enters a selection as added and one that leaves it as deleted', async () => {
    const api = await startTestServer();
    await api.expect(201, 'POST', path, put('a', {}, { app: 'x' }));
    await api.expect(201, 'POST', path, put('b', {}, { app: 'y' }));
    const watch = await api.watch(`${path}?watch=1&resourceVersion=${api.store.revision()}&labelSelector=app%3Dx`);
    await api.expect(200, 'PUT', `${path}/b`, put('b', {}, { app: 'x' }));
    await api.expect(200, 'PUT', `${path}/a`, put('a', { gone: '1' }, { app: 'y' }));
    await api.expect(200, 'PUT', `${path}/a`, put('a', { unseen: '1' }, { app: 'y' }));
    await api.expect(200, 'DELETE', `${path}/b`);
    const events = [await watch.next(), await watch.next(), await watch.next()];
    expect(events.map(brief)).toEqual(['ADDED b', 'DELETED a', 'DELETED b']);
    // The object as the watcher knew it, at the revision at which it left.
    expect(events[1]!.object['data']).toBeUndefined();
    expect(Number(events[1]!.object.metadata.resourceVersion)).toBeGreaterThan(Number(events[0]!.object.metadata.resourceVersion));
  });

  it('selects pods by node', async () => {
    const api = await startTestServer();
    const watch = await api.watch('/api/v1/pods?watch=1&fieldSelector=spec.nodeName%3Dworker-1');
    await api.expect(201, 'POST', inDefault('pods'), pod('p'));
    await api.expect(201, 'POST', inDefault('pods', 'p', 'binding'), {
      metadata: { name: 'p' },
      target: { kind: 'Node', name: 'worker-1' },
    });
    expect(brief(await watch.next())).toBe('ADDED p');
  });

  it('prints a table per event, with headers in the first alone', async () => {
    const api = await startTestServer();
    const watch = await api.watch(`${path}?watch=1`, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' });
    await api.expect(201, 'POST', path, put('a', {}));
    await api.expect(201, 'POST', path, put('b', {}));
    const [first, second] = [(await watch.next()).object as never as Table, (await watch.next()).object as never as Table];
    expect([first.kind, first.rows[0]!.cells[0], second.rows[0]!.cells[0]]).toEqual(['Table', 'a', 'b']);
    expect([first.columnDefinitions.length > 0, second.columnDefinitions]).toEqual([true, null]);
  });

  it('ends after timeoutSeconds, with a bookmark before', async () => {
    const api = await startTestServer();
    const watch = await api.watch(`${path}?watch=1&timeoutSeconds=3&allowWatchBookmarks=true&resourceVersion=${api.store.revision()}`);
    const events = await watch.rest();
    expect(events).toMatchObject([
      { type: 'BOOKMARK', object: { kind: 'ConfigMap', metadata: { resourceVersion: String(api.store.revision()) } } },
    ]);
  });

  it('tells in the stream that a revision is too old', async () => {
    const api = await startTestServer({}, createMemoryStore({ historyRevisions: 100 }));
    await api.expect(201, 'POST', path, put('a', {}));
    for (let i = 0; i < 150; i++) await api.expect(200, 'PUT', `${path}/a`, put('a', { i: String(i) }));
    const watch = await api.watch(`${path}?watch=1&resourceVersion=2`);
    expect(await watch.rest()).toMatchObject([
      {
        type: 'ERROR',
        object: { kind: 'Status', code: 410, reason: 'Expired', message: expect.stringMatching(/^too old resource version: 2 \(\d+\)$/) },
      },
    ]);
  });

  it('reaches every one of many watchers, in order and without gap', async () => {
    const api = await startTestServer();
    const watches = await Promise.all(Array.from({ length: 20 }, () => api.watch(`${path}?watch=1`)));
    await Promise.all(Array.from({ length: 30 }, (_, i) => api.expect(201, 'POST', path, put(`c${i}`, {}))));
    for (const watch of watches) {
      const revisions: number[] = [];
      for (let i = 0; i < 30; i++) revisions.push(Number((await watch.next()).object.metadata.resourceVersion));
      expect(revisions).toEqual(Array.from({ length: 30 }, (_, i) => revisions[0]! + i));
    }
  });

  it('drops a watcher that does not read, and nobody else waits for it', async () => {
    const api = await startTestServer();
    const { port } = new URL(api.url);
    const lazy = createConnection(Number(port), '127.0.0.1');
    cleanup(() => lazy.destroy());
    const dropped = new Promise<void>((resolve) => lazy.on('close', () => resolve()));
    lazy.on('error', () => {});
    lazy.pause();
    lazy.write(`GET ${path}?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n`);
    const eager = await api.watch(`${path}?watch=1`);
    const large = 'x'.repeat(900_000);
    await api.expect(201, 'POST', path, put('a', {}));
    expect(brief(await eager.next())).toBe('ADDED a');
    for (let i = 0; i < 30; i++) {
      await api.expect(200, 'PUT', `${path}/a`, put('a', { large, i: String(i) }));
      expect((await eager.next()).object['data'].i).toBe(String(i));
    }
    // It sees the end of its connection once it reads again.
    lazy.resume();
    await dropped;
  });

  it('resumes over a restart of the server without gap or repeat', async () => {
    const dataDir = temporaryFolder();
    const first = await startTestServer({}, await openEmbeddedStore({ folder: dataDir }));
    await first.expect(201, 'POST', path, put('a', {}, { app: 'x' }));
    const { metadata } = await first.expect(200, 'GET', path);
    await first.expect(200, 'PUT', `${path}/a`, put('a', { n: '1' }, { app: 'x' }));
    await first.expect(201, 'POST', path, put('b', {}, { app: 'x' }));
    await first.expect(200, 'PUT', `${path}/a`, put('a', { n: '2' }, { app: 'y' }));
    await first.expect(200, 'DELETE', `${path}/b`);
    await first.server.stop();
    const second = await startTestServer({}, await openEmbeddedStore({ folder: dataDir }));
    const watch = await second.watch(`${path}?watch=1&resourceVersion=${metadata.resourceVersion}`);
    const selected = await second.watch(`${path}?watch=1&resourceVersion=${metadata.resourceVersion}&labelSelector=app%3Dx`);
    await second.expect(201, 'POST', path, put('c', {}, { app: 'x' }));
    const all = [];
    for (let i = 0; i < 5; i++) all.push(await watch.next());
    expect(all.map(brief)).toEqual(['MODIFIED a', 'ADDED b', 'MODIFIED a', 'DELETED b', 'ADDED c']);
    expect(all.slice(0, 3).map(({ object }) => object['data']?.n)).toEqual(['1', undefined, '2']);
    const some = [];
    for (let i = 0; i < 5; i++) some.push(await selected.next());
    expect(some.map(brief)).toEqual(['MODIFIED a', 'ADDED b', 'DELETED a', 'DELETED b', 'ADDED c']);
  });
});

interface Table {
  readonly kind: string;
  readonly columnDefinitions: unknown[];
  readonly rows: { readonly cells: unknown[] }[];
}
