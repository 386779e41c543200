import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it, vi } from 'vitest';
import { createKubeClient } from '../../src/kube/http-client.ts';
import { resources } from '../../src/objects/index.ts';
import { cleanup, startTestServer, temporaryFolder } from '../api-server/harness.ts';

const main = resolve(import.meta.dirname, '../../src/cli/main.ts');

it('install reads the pod CIDRs of a Node, and with --follow keeps the configuration as they are', { timeout: 60_000 }, async () => {
  const folder = temporaryFolder();
  const api = await startTestServer();
  const client = createKubeClient({ server: api.url } as Parameters<typeof createKubeClient>[0], 'test');
  cleanup(() => client.close());
  const addNode = (...podCIDRs: string[]) =>
    client.create(resources.nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' }, spec: { podCIDR: podCIDRs[0]!, podCIDRs } });
  const kubeconfig = join(folder, 'kubeconfig');
  const cluster = { server: api.url };
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'c', cluster }],
      users: [{ name: 'u', user: {} }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    }),
  );
  const executable = join(folder, 'executable');
  writeFileSync(executable, '#!/bin/sh\n', { mode: 0o755 });
  const where = ['conf-dir', 'bin-dir', 'state-dir'].flatMap((name) => [`--${name}`, join(folder, name)]);
  const install = (...more: string[]) => {
    const words = [
      'cni',
      'install',
      '--kubeconfig',
      kubeconfig,
      '--node-name',
      'n1',
      '--executable',
      executable,
      '--bridge',
      'pw-none',
      ...where,
      ...more,
    ];
    const child = spawn(process.execPath, [main, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
    cleanup(() => void child.kill('SIGKILL'));
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => void (output += chunk.toString()));
    return { child, ended: once(child, 'close').then(([code]) => ({ code: code as number, output })) };
  };
  const conflist = join(folder, 'conf-dir/10-podwire.conflist');
  // oxlint-disable-next-line typescript/no-explicit-any
  const ranges = (): any => JSON.parse(readFileSync(conflist, 'utf8')).plugins[0].ipam.ranges;

  await client.create(resources.nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } });
  const early = await install().ended;
  expect([early.code, early.output.trim()]).toEqual([1, 'podwire: Node n1 has no spec.podCIDRs']);
  await client.delete(resources.nodes, 'n1');
  await addNode('10.244.1.0/24', 'fd00:10:244:1::/64');
  const once1 = await install().ended;
  expect(once1).toMatchObject({ code: 0, output: expect.stringContaining(conflist) });
  expect(ranges()).toEqual([[{ subnet: '10.244.1.0/24' }], [{ subnet: 'fd00:10:244:1::/64' }]]);

  const { child, ended } = install('--follow');
  await client.delete(resources.nodes, 'n1');
  await vi.waitFor(() => expect(existsSync(conflist)).toBe(false), 20_000);
  await addNode('10.244.7.0/24');
  await vi.waitFor(() => expect(ranges()).toEqual([[{ subnet: '10.244.7.0/24' }]]), 20_000);
  child.kill('SIGTERM');
  expect((await ended).code).toBe(0);
  expect(existsSync(conflist), 'what is installed stays').toBe(true);
});
