import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { request } from 'undici';
import { expect, it } from 'vitest';
import { freePort } from '../free-port.ts';
import { callsTo, cleanup, configMap, inDefault, temporaryFolder } from './harness.ts';

const script = new URL('server-process.ts', import.meta.url).pathname;
const path = inDefault('configmaps');

async function startProcess(dataDir: string, port: number, listener?: number): Promise<ChildProcess> {
  const stdio = ['ignore', 'pipe', 'inherit', ...(listener === undefined ? [] : [listener])] as ('ignore' | 'pipe' | 'inherit' | number)[];
  const child = spawn(process.execPath, [script, dataDir, String(port), ...(listener === undefined ? [] : ['3'])], { stdio });
  cleanup(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'close');
  });
  await Promise.race([
    once(child.stdout!, 'data'),
    once(child, 'close').then(() => {
      throw new Error('the server did not start');
    }),
  ]);
  return child;
}

/** Follows the collection from a revision until the connection breaks or the signal aborts. */
async function follow(
  url: string,
  from: number,
  seen: { type: string; name: string; revision: number }[],
  signal: AbortSignal,
): Promise<void> {
  try {
    const { body } = await request(`${url}${path}?watch=1&resourceVersion=${from}`, { signal, bodyTimeout: 0 });
    let rest = '';
    for await (const chunk of body.setEncoding('utf8')) {
      const lines = (rest + String(chunk)).split('\n');
      rest = lines.pop()!;
      for (const line of lines) {
        const { type, object } = JSON.parse(line);
        seen.push({ type, name: object.metadata.name, revision: Number(object.metadata.resourceVersion) });
      }
    }
  } catch {
    // Killed.
  }
}

it('kill -9 during 64-way creates: every 201 is there, revisions grow, a watch resumes without gap or repeat', {
  timeout: 240_000,
}, async () => {
  const dataDir = temporaryFolder();
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const { expect: call } = callsTo(url);
  const acknowledged = new Map<string, number>();
  const seen: { type: string; name: string; revision: number }[] = [];
  let watched = 0;

  for (let round = 0; round < 20; round++) {
    const child = await startProcess(dataDir, port);
    const closed = once(child, 'close');
    if (round === 0) watched = Number((await call(200, 'GET', path)).metadata.resourceVersion);
    const abort = new AbortController();
    const following = follow(url, seen.at(-1)?.revision ?? watched, seen, abort.signal);
    let count = 0;
    const writer = async (id: number): Promise<void> => {
      for (let i = 0; ; i++) {
        const name = `r${round}-w${id}-${i}`;
        const { metadata } = await call(201, 'POST', path, configMap(name));
        acknowledged.set(name, Number(metadata.resourceVersion));
        if (++count === 100 + round * 17) child.kill('SIGKILL');
      }
    };
    await Promise.allSettled(Array.from({ length: 64 }, (_, id) => writer(id)));
    await closed;
    await following;
    abort.abort();
  }

  await startProcess(dataDir, port);
  const list = await call(200, 'GET', path);
  const revisions = new Map(
    list.items.map(({ metadata }: { metadata: { name: string; resourceVersion: string } }) => [
      metadata.name,
      Number(metadata.resourceVersion),
    ]),
  );
  expect(acknowledged.size).toBeGreaterThan(4_000);
  for (const [name, revision] of acknowledged) expect([name, revisions.get(name)]).toEqual([name, revision]);
  // Followed over twenty lives of the server, then to the end: exactly the objects that stand, each once, in order of revision.
  const abort = new AbortController();
  const following = follow(url, seen.at(-1)!.revision, seen, abort.signal);
  const last = Math.max(...(revisions.values() as Iterable<number>));
  for (let i = 0; i < 200 && seen.at(-1)!.revision < last; i++) await new Promise((resolve) => setTimeout(resolve, 20));
  abort.abort();
  await following;
  expect(seen.every(({ type }) => type === 'ADDED')).toBe(true);
  expect(seen.map(({ revision }) => revision)).toEqual([...(revisions.values() as Iterable<number>)].sort((a, b) => a - b));
});

it('serves a listening socket that it inherits, besides its own port', { timeout: 30_000 }, async () => {
  const listener = createServer();
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  cleanup(() => listener.close());
  const inherited = (listener.address() as AddressInfo).port;
  const { fd } = (listener as unknown as { _handle: { fd: number } })._handle;
  const port = await freePort();
  await startProcess(temporaryFolder(), port, fd);
  // The parent must not take the connection itself.
  listener.close();
  for (const each of [port, inherited]) expect((await callsTo(`http://127.0.0.1:${each}`).call('GET', '/healthz')).body).toBe('ok');
});
