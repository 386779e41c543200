import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type ClusterConnection, withCluster } from '../../src/cli/daemon-command.ts';
import { resources } from '../../src/objects/client.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { createHealth } from '../../src/runtime/health.ts';
import { silentLogger } from '../../src/runtime/log.ts';
import { createMetrics } from '../../src/runtime/metrics.ts';

const context = { log: silentLogger(), clock: systemClock, metrics: createMetrics(), health: createHealth() };

/** An API server without nodes, whose watches stay open. */
let server: Server;
let folder: string;
let kubeconfig: string;
let userAgents: Set<string | undefined>;

beforeEach(async () => {
  userAgents = new Set();
  server = createServer(({ url, headers }, response) => {
    userAgents.add(headers['user-agent']);
    response.writeHead(200, { 'content-type': 'application/json' });
    if (url!.includes('watch=true')) response.flushHeaders();
    else response.end(JSON.stringify({ metadata: { resourceVersion: '1' }, items: [] }));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  folder = mkdtempSync(join(tmpdir(), 'podwire-cli-'));
  kubeconfig = join(folder, 'kubeconfig');
  const config = {
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${(server.address() as AddressInfo).port}` } }],
    users: [{ name: 'u', user: {} }],
  };
  writeFileSync(kubeconfig, JSON.stringify(config));
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((closed) => server.close(closed));
  rmSync(folder, { recursive: true });
});

const connections = (): Promise<number> =>
  new Promise((done, failed) => server.getConnections((error, count) => (error ? failed(error) : done(count))));

/** Until the watch of the nodes is open, which keeps a connection. */
async function watchNodes({ cluster }: ClusterConnection): Promise<void> {
  cluster.informer(resources.nodes);
  await cluster.whenSynced();
  await vi.waitFor(async () => expect(await connections()).toBeGreaterThan(0));
}

it('the connection to the cluster stays until the daemon has stopped, and then ends', async () => {
  const open: number[] = [];
  const daemon = await withCluster({ kubeconfig }, context, 'podwire-test', async (connection) => {
    await watchNodes(connection);
    return {
      async stop() {
        await connection.client.list(resources.nodes);
        open.push(await connections());
      },
    };
  });
  await daemon.stop();
  expect(open[0]).toBeGreaterThan(0);
  expect([...userAgents]).toEqual(['podwire-test']);
  await vi.waitFor(async () => expect(await connections()).toBe(0));
});

it('the connection ends when the daemon fails to stop', async () => {
  const daemon = await withCluster({ kubeconfig }, context, 'podwire-test', async (connection) => {
    await watchNodes(connection);
    return { stop: () => Promise.reject(new Error('the kernel said no')) };
  });
  await expect(daemon.stop()).rejects.toThrow('the kernel said no');
  await vi.waitFor(async () => expect(await connections()).toBe(0));
});

it.each([
  ['later', async (connection: ClusterConnection) => Promise.reject(await watchNodes(connection).then(() => new Error('no such link')))],
  [
    'at once',
    () => {
      throw new Error('no such link');
    },
  ],
])('the connection ends when the daemon fails to start, %s', async (_when, start) => {
  await expect(withCluster({ kubeconfig }, context, 'podwire-test', start)).rejects.toThrow('no such link');
  await vi.waitFor(async () => expect(await connections()).toBe(0));
});

it('a kubeconfig that cannot be read is a failure to start', async () => {
  await expect(
    withCluster({ kubeconfig: join(folder, 'none') }, context, 'podwire-test', () => Promise.reject(new Error('started'))),
  ).rejects.toThrow(join(folder, 'none'));
});
