import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, it } from 'vitest';
import { cleanup, startTestServer, temporaryFolder, type TestServer } from '../api-server/harness.ts';

const lease = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/podwire-controllers';
/** Of the election in these tests (seconds). */
const leaseDuration = 2;
/** Some tries to acquire, on a machine that is busy (ms). */
const slack = 2_500;

async function startAll(): Promise<{ api: TestServer; start(): Promise<ChildProcess>; holder(): Promise<number | undefined> }> {
  const api = await startTestServer();
  const kubeconfig = join(temporaryFolder(), 'kubeconfig');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server: api.url } }],
    users: [{ name: 'test', user: {} }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    'current-context': 'test',
  };
  writeFileSync(kubeconfig, JSON.stringify(config), { mode: 0o600 });
  const main = join(import.meta.dirname, '../../src/cli/main.ts');
  const timing = ['lease-duration', `${leaseDuration}s`, 'renew-deadline', '1500ms', 'retry-period', '300ms'];
  return {
    api,
    /** Starts another; resolves once it takes part in the election. */
    async start() {
      const flags = timing.map((word, index) => (index % 2 === 0 ? `--leader-elect-${word}` : word));
      const args = [main, 'controllers', '--kubeconfig', kubeconfig, '--health-bind-address', '127.0.0.1:0', ...flags];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
      cleanup(() => child.kill('SIGKILL'));
      for await (const line of createInterface(child.stderr)) if (line.includes('controllers is running')) break;
      child.stderr.resume();
      return child;
    },
    /** The process that holds the lease. */
    async holder() {
      const { code, body } = await api.call('GET', lease);
      const pid = code === 200 ? /_(\d+)_\d+$/.exec(body.spec.holderIdentity)?.[1] : undefined;
      return pid === undefined ? undefined : Number(pid);
    },
  };
}

async function until(condition: () => Promise<boolean>, what: string, limit: number): Promise<number> {
  const start = performance.now();
  while (!(await condition())) {
    if (performance.now() - start > limit) throw new Error(`waited ${limit} ms in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return performance.now() - start;
}

it('of two control planes one acts; when it is killed, or merely hangs, the other takes over within the lease time', {
  timeout: 60_000,
}, async () => {
  const { api, start, holder } = await startAll();
  const children = await Promise.all([start(), start()]);
  const served = async (namespace: string): Promise<boolean> =>
    (await api.call('GET', `/api/v1/namespaces/${namespace}/serviceaccounts/default`)).code === 200;
  const newNamespace = (name: string): Promise<unknown> =>
    api.expect(201, 'POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });

  /** When the lease was acquired and when it was renewed last, by the clock of this machine (ms). */
  const spec = async (): Promise<[number, number]> => {
    const { acquireTime, renewTime } = (await api.expect(200, 'GET', lease)).spec;
    return [Date.parse(acquireTime), Date.parse(renewTime)];
  };

  await newNamespace('one');
  await until(() => served('one'), 'one of them acts', 20_000);
  const first = await holder();
  const leader = children.find(({ pid }) => pid === first)!;
  const second = children.find((child) => child !== leader)!;

  leader.kill('SIGKILL');
  const [, killed] = await spec();
  await newNamespace('two');
  await until(() => served('two'), 'the other acts', 20_000);
  const [taken] = await spec();
  expect(taken - killed).toBeLessThan(leaseDuration * 1_000 + slack);
  expect(await holder()).toBe(second.pid);

  // A process that stands still is alive as far as anybody can see: its lease must run out, and nobody may take it before.
  const third = await start();
  await new Promise((resolve) => setTimeout(resolve, 500));
  second.kill('SIGSTOP');
  const [, stopped] = await spec();
  await newNamespace('three');
  await until(() => served('three'), 'the third acts', 20_000);
  const [retaken] = await spec();
  expect(retaken - stopped).toBeGreaterThanOrEqual(leaseDuration * 1_000);
  expect(retaken - stopped).toBeLessThan(leaseDuration * 1_000 + slack);
  expect(await holder()).toBe(third.pid);

  // Awake again it sees that it leads no more, and the leader stays.
  second.kill('SIGCONT');
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  expect(await holder()).toBe(third.pid);
  await newNamespace('four');
  await until(() => served('four'), 'the third acts still', 5_000);
});
