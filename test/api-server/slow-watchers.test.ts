import { connect, createConnection, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { createMemoryStore } from '../../src/storage/index.ts';
import { cleanup, configMap, inDefault, startTestServer, type TestServer } from './harness.ts';

const path = inDefault('configmaps');
const large = 'x'.repeat(900_000);
/** Together more than the 8 MiB that a watcher may be behind, and what the sockets hold besides. */
const updates = 24;

/** A watcher that asks and never reads; `dropped` resolves when it finds its connection ended, which it looks at once it reads again. */
function stalledWatcher(url: string, query: string): { socket: Socket; dropped: Promise<void> } {
  const socket = createConnection(Number(new URL(url).port), '127.0.0.1');
  cleanup(() => socket.destroy());
  const dropped = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  socket.on('error', () => {});
  socket.pause();
  socket.write(`GET ${path}?watch=1&${query} HTTP/1.1\r\nHost: x\r\n\r\n`);
  return { socket, dropped };
}

/** Updates an object so often that whoever does not read is too far behind. */
async function outrun(api: TestServer): Promise<void> {
  for (let i = 0; i < updates; i++) await api.expect(200, 'PUT', `${path}/a`, configMap('a', { large, i: String(i) }));
}

describe('a watcher that does not read', () => {
  it('delays nobody: others get each event while it stalls and after it was dropped', async () => {
    const api = await startTestServer();
    await api.expect(201, 'POST', path, configMap('a'));
    const lazy = stalledWatcher(api.url, `resourceVersion=${api.store.revision()}`);
    const eager = await api.watch(`${path}?watch=1&resourceVersion=${api.store.revision()}`);
    const times: number[] = [];
    for (let i = 0; i < updates; i++) {
      const began = performance.now();
      await api.expect(200, 'PUT', `${path}/a`, configMap('a', { large, i: String(i) }));
      expect((await eager.next()).object['data'].i).toBe(String(i));
      times.push(performance.now() - began);
    }
    // Nowhere near a socket's or a client's time-out: some tens of milliseconds each, for a megabyte.
    expect(Math.max(...times)).toBeLessThan(2_000);
    lazy.socket.resume();
    await lazy.dropped;
  });

  it('goes on where it was when the history reaches back, without gap or repeat', async () => {
    const api = await startTestServer({}, createMemoryStore({ history: { bytes: 100_000_000 } }));
    await api.expect(201, 'POST', path, configMap('a'));
    const seen = api.store.revision();
    const lazy = stalledWatcher(api.url, `resourceVersion=${seen}`);
    await outrun(api);
    lazy.socket.resume();
    await lazy.dropped;
    const again = await api.watch(`${path}?watch=1&resourceVersion=${seen}`);
    for (let i = 0; i < updates; i++) expect((await again.next()).object['data'].i).toBe(String(i));
  });

  it('is told 410 when what it missed is no longer in the history', async () => {
    const api = await startTestServer({}, createMemoryStore({ historyRevisions: 10 }));
    await api.expect(201, 'POST', path, configMap('a'));
    const seen = api.store.revision();
    const lazy = stalledWatcher(api.url, `resourceVersion=${seen}`);
    await outrun(api);
    lazy.socket.resume();
    await lazy.dropped;
    const again = await api.watch(`${path}?watch=1&resourceVersion=${seen}`);
    expect(await again.rest()).toMatchObject([{ type: 'ERROR', object: { code: 410, reason: 'Expired' } }]);
  });

  it('holds no more than it may when it stalls in the middle of what there is at the start', async () => {
    const api = await startTestServer();
    for (let i = 0; i < 20; i++) await api.expect(201, 'POST', path, configMap(`a${i}`, { large }));
    const lazy = stalledWatcher(api.url, '');
    const eager = await api.watch(`${path}?watch=1`);
    for (let i = 0; i < 20; i++) expect((await eager.next()).type).toBe('ADDED');
    await api.expect(201, 'POST', path, configMap('a'));
    expect((await eager.next()).object.metadata.name).toBe('a');
    // Not dropped: it is behind in reading, but what it has not read is not kept for it.
    lazy.socket.resume();
    let text = '';
    for await (const chunk of lazy.socket) {
      text = (text + String(chunk)).slice(-5_000);
      if (text.includes('"name":"a"')) break;
    }
    expect(text).toContain('"name":"a"');
  });
});

it('a client of HTTP/1.0 gets a watch without chunks, and its end', async () => {
  const api = await startTestServer();
  await api.expect(201, 'POST', path, configMap('a', { x: 'y' }));
  const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
  cleanup(() => socket.destroy());
  socket.write(`GET ${path}?watch=1&timeoutSeconds=1 HTTP/1.0\r\n\r\n`);
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  const [head, ...lines] = text.split(/\r\n\r\n|\n/);
  expect(head).toMatch(/^HTTP\/1\.1 200 OK/);
  expect(text).not.toMatch(/transfer-encoding: chunked/i);
  const events = lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as { type: string });
  expect(events.map(({ type }) => type)).toEqual(['ADDED']);
  expect(text.slice(text.indexOf('\r\n\r\n') + 4)).toMatch(/^\{"type":"ADDED".*\}\n$/s);
});

it('a watch whose connection has other requests before it in the pipe is answered after them', async () => {
  const api = await startTestServer();
  await api.expect(201, 'POST', path, configMap('a'));
  const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
  cleanup(() => socket.destroy());
  const get = (query: string): string => `GET ${path}${query} HTTP/1.1\r\nHost: x\r\n\r\n`;
  socket.write(get('/a') + get('?watch=1&timeoutSeconds=1') + get('/a'));
  let text = '';
  for await (const chunk of socket) {
    text += String(chunk);
    if (text.split('HTTP/1.1 200 OK').length === 4 && text.endsWith('}')) break;
  }
  const [, first, watch, last] = text.split('HTTP/1.1 200 OK');
  expect(first).toContain('"kind":"ConfigMap"');
  expect(watch).toMatch(/\r\n[0-9a-f]+\r\n\{"type":"ADDED".*\}\n\r\n0\r\n\r\n$/s);
  expect(last).toContain('"kind":"ConfigMap"');
});
