import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { Registry } from 'prom-client';
import t from 'tap';
import { diffNftTable } from '../../src/dataplane/nft-diff.ts';
import { type CommandRunner, inNetworkNamespace, systemRunner } from '../../src/kernel/command-runner.ts';
import { createNft } from '../../src/kernel/nft.ts';
import { createFakeCluster } from '../../src/kube/fake-cluster.ts';
import { startProxy } from '../../src/kube-proxy/daemon.ts';
import type { ProxyOptionsInput } from '../../src/kube-proxy/index.ts';
import { resources } from '../../src/objects/index.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { createHealth } from '../../src/runtime/health.ts';
import { silentLogger } from '../../src/runtime/log.ts';
import { endpoint, node, service, slice } from '../kube-proxy/objects.ts';

const name = `pwr${process.pid}`;
const inside = inNetworkNamespace(systemRunner, `/run/netns/${name}`);
await systemRunner.run('ip', ['netns', 'add', name]);
t.teardown(() => systemRunner.run('ip', ['netns', 'del', name]));

/** The commands that read all rules, as they are run. */
const listings: string[] = [];
const runner: CommandRunner = {
  ...inside,
  run(command, args, options) {
    if (command.endsWith('-save') || (args.includes('list') && args.includes('table'))) listings.push([command, ...args].join(' '));
    return inside.run(command, args, options);
  },
};

/** Waits for up to half a minute. */
async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  for (const start = performance.now(); !(await holds()); await sleep(20))
    if (performance.now() - start > 30_000) throw new Error(`${what}: not in time`);
}

async function startDaemon(options: Partial<ProxyOptionsInput>) {
  const cluster = createFakeCluster();
  cluster.set(resources.nodes, node());
  cluster.set(resources.services, service({}));
  cluster.set(resources.endpointSlices, slice([endpoint('10.244.1.2', 'worker-1')]));
  const metrics = new Registry();
  const daemon = await startProxy(
    { nodeName: 'worker-1', clusterCIDRs: ['10.244.0.0/16'], families: ['IPv4'], ...options },
    { cluster, runner },
    { log: silentLogger(), clock: systemClock, metrics, health: createHealth() },
  );
  await until('the first sync', () => daemon.report().lastSync > 0);
  return { cluster, daemon, metrics };
}

/** Waits until nothing was listed for so long. What another mode may have left is looked for after the first sync. */
const quietness = (milliseconds: number): Promise<void> =>
  until('quiet', async () => {
    const before = listings.length;
    await sleep(milliseconds);
    return listings.length === before;
  });

const nftRules = async (): Promise<string> =>
  (await inside.run('nft', ['list', 'table', 'ip', 'podwire-proxy']).catch(() => ({ stdout: '' }))).stdout;

for (const nftablesLayout of ['fast', 'compat'] as const) {
  t.test(`nftables ${nftablesLayout}: what others take away comes back, and no sync lists anything while nobody does`, async (t) => {
    const { cluster, daemon } = await startDaemon({ mode: 'nftables', nftablesLayout, syncPeriod: 400 });
    try {
      t.match(await nftRules(), /10\.244\.1\.2( \. |:)8080/);
      // At the first period the table is read once more, now that its changes are told; then never again.
      await quietness(1_200);
      const quiet = listings.length;
      for (const last of [3, 4, 5]) {
        cluster.set(resources.endpointSlices, slice([endpoint(`10.244.1.${last}`, 'worker-1')]));
        await until(`endpoint ${last}`, async () => (await nftRules()).includes(`10.244.1.${last}`));
      }
      await sleep(1_000);
      t.equal(listings.length, quiet, 'three changes and some periods without a listing');
      const table = () => createNft(inside).read('podwire-proxy', 'ip');
      const held = (await table())!;
      for (const deed of [
        ['delete', 'table', 'ip', 'podwire-proxy'],
        ['flush', 'table', 'ip', 'podwire-proxy'],
        ['flush', 'chain', 'ip', 'podwire-proxy', 'nat-prerouting'],
        ['flush', 'map', 'ip', 'podwire-proxy', 'service-ips'],
        ['add', 'rule', 'ip', 'podwire-proxy', 'services', 'accept'],
      ]) {
        await inside.run('nft', deed);
        await until(`repair after nft ${deed.join(' ')}`, async () => diffNftTable(await table(), held) === undefined);
      }
    } finally {
      await daemon.stop();
      await inside.run('nft', ['delete', 'table', 'ip', 'podwire-proxy']);
    }
  });
}

for (const iptables of ['legacy', 'nft'] as const) {
  t.test(`iptables-${iptables}: what others take away comes back, and a sync of changes saves nothing`, async (t) => {
    const rulesOf = async (): Promise<string> =>
      (await inside.run(`iptables-${iptables}-save`, [])).stdout.replaceAll(/\[\d+:\d+\]|^#.*$/gm, '');
    const { cluster, daemon } = await startDaemon({ mode: 'iptables', iptables, syncPeriod: 60_000 });
    try {
      await quietness(500);
      const before = listings.length;
      cluster.set(resources.endpointSlices, slice([endpoint('10.244.1.7', 'worker-1')]));
      await until('the endpoint', async () => (await rulesOf()).includes('10.244.1.7:8080'));
      t.equal(listings.length, before, 'a change without a save');
    } finally {
      await daemon.stop();
    }
    const again = await startDaemon({ mode: 'iptables', iptables, syncPeriod: 400 });
    try {
      const held = await rulesOf();
      const chain = /^:(KUBE-SEP-\S+)/m.exec(held)![1]!;
      const service = /^:(KUBE-SVC-\S+)/m.exec(held)![1]!;
      for (const deed of [
        '*nat\n-F KUBE-SERVICES\nCOMMIT\n',
        '*filter\n-F KUBE-FORWARD\n-F FORWARD\nCOMMIT\n',
        `*nat\n-F ${service}\n-F ${chain}\n-X ${chain}\nCOMMIT\n`,
      ]) {
        await inside.run(`iptables-${iptables}-restore`, ['-w', '5', '--noflush'], { input: deed });
        await until(`repair after ${deed}`, async () => (await rulesOf()) === held);
      }
    } finally {
      await again.daemon.stop();
      for (const table of ['nat', 'filter'])
        for (const flag of ['-F', '-X']) await inside.run(`iptables-${iptables}`, ['-w', '5', '-t', table, flag]);
    }
  });
}

t.test('the xtables lock held by another is waited out, and counted when that takes too long', async (t) => {
  const { cluster, daemon, metrics } = await startDaemon({ mode: 'iptables', iptables: 'legacy', lockTimeout: 1 });
  const holder = spawn('flock', ['/run/xtables.lock', 'sh', '-c', 'echo held; read -r _'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const timeouts = async (): Promise<number> =>
    Number(/xtables_lock_timeouts_total\{[^}]*\} (\d+)/.exec(await metrics.metrics())?.[1] ?? 0);
  try {
    await new Promise((resolve) => holder.stdout.once('data', resolve));
    cluster.set(resources.endpointSlices, slice([endpoint('10.244.1.9', 'worker-1')]));
    await until('a time-out', async () => (await timeouts()) > 0);
    t.match(daemon.report().families[0]!.problem, /lock/);
    holder.stdin.end('\n');
    await until('the endpoint', async () => (await inside.run('iptables-legacy-save', ['-t', 'nat'])).stdout.includes('10.244.1.9:8080'));
    t.equal(daemon.report().families[0]!.problem, undefined);
  } finally {
    holder.stdin.end('\n');
    await daemon.stop();
  }
});
