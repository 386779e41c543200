import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createKubeClient } from '../../src/kube/http-client.ts';
import { startInformer } from '../../src/kube/reflector.ts';
import { type ConfigMap, resources } from '../../src/objects/index.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLogger } from '../../src/runtime/log.ts';

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

const configMap = (name: string, resourceVersion: string): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default', resourceVersion },
});

/** An API server of scripted answers: each list and each watch takes the next one. */
async function scriptedServer(script: {
  lists: { revision: string; items: ConfigMap[] }[];
  watches: ((response: ServerResponse, revision: string) => void)[];
}) {
  const server = createServer((request, response) => {
    const url = new URL(request.url!, 'http://x');
    response.setHeader('content-type', 'application/json');
    if (url.searchParams.get('watch')) {
      response.flushHeaders();
      const next = script.watches.shift();
      if (next) next(response, url.searchParams.get('resourceVersion')!);
      return;
    }
    const list = script.lists.shift()!;
    response.end(JSON.stringify({ kind: 'ConfigMapList', metadata: { resourceVersion: list.revision }, items: list.items }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = createKubeClient({ server: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }, 'test');
  const informer = startInformer({ client, log: silentLogger(), clock: systemClock, random: () => 0 }, resources.configMaps);
  cleanups.push(
    () => informer.stop(),
    () => client.close(),
    () => void server.closeAllConnections(),
    () => new Promise((resolve) => server.close(() => resolve())),
  );
  const changes: string[] = [];
  informer.onChange((before, after) => changes.push(`${before?.metadata.name ?? '-'}>${after?.metadata.name ?? '-'}`));
  return { informer, changes };
}

const line = (response: ServerResponse, type: string, object: unknown): boolean => response.write(`${JSON.stringify({ type, object })}\n`);

describe('an informer', () => {
  it('lists, then follows the watch', async () => {
    const { informer, changes } = await scriptedServer({
      lists: [{ revision: '5', items: [configMap('a', '3')] }],
      watches: [
        (response, revision) => {
          expect(revision).toBe('5');
          line(response, 'ADDED', configMap('b', '6'));
          line(response, 'DELETED', configMap('a', '7'));
        },
      ],
    });
    await informer.whenSynced();
    await expect.poll(() => [...informer.store.keys()]).toEqual(['default/b']);
    expect(changes).toEqual(['->a', '->b', 'a>-']);
    expect(informer.store.get('default/b')).toMatchObject({ kind: 'ConfigMap' });
  });

  it('watches again from the last revision seen when the stream ends', async () => {
    const revisions: string[] = [];
    const { informer } = await scriptedServer({
      lists: [{ revision: '5', items: [] }],
      watches: [
        (response, revision) => {
          revisions.push(revision);
          line(response, 'BOOKMARK', { metadata: { resourceVersion: '8' } });
          response.end();
        },
        (response, revision) => {
          revisions.push(revision);
          line(response, 'ADDED', configMap('late', '9'));
        },
      ],
    });
    await expect.poll(() => informer.store.size).toBe(1);
    expect(revisions).toEqual(['5', '8']);
  });

  it('lists again after an expired watch and tells the difference', async () => {
    const { informer, changes } = await scriptedServer({
      lists: [
        { revision: '5', items: [configMap('gone', '1'), configMap('kept', '2')] },
        { revision: '50', items: [configMap('kept', '2'), configMap('new', '40')] },
      ],
      watches: [
        (response) => {
          line(response, 'ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' });
          response.end();
        },
      ],
    });
    await expect.poll(() => [...informer.store.keys()]).toEqual(['default/kept', 'default/new']);
    expect(changes).toEqual(['->gone', '->kept', 'gone>-', '->new']);
  });

  it('survives a line that is no JSON by watching again', async () => {
    const { informer } = await scriptedServer({
      lists: [{ revision: '5', items: [] }],
      watches: [(response) => void response.end('{"type":\n'), (response) => void line(response, 'ADDED', configMap('a', '6'))],
    });
    await expect.poll(() => informer.store.size).toBe(1);
  });
});
