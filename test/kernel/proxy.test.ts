// The service proxy as a running daemon in a node of network namespaces, with pods, clients and their real connections.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { Registry } from 'prom-client';
import { createFakeCluster } from '../../src/kube/fake-cluster.ts';
import type { CommandRunner } from '../../src/kernel/command-runner.ts';
import { startProxy } from '../../src/kube-proxy/daemon.ts';
import { cleanupProxy } from '../../src/kube-proxy/effects/mode-removal.ts';
import type { ProxyReport } from '../../src/kube-proxy/report.ts';
import { resources } from '../../src/objects/index.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import type { NodeDaemon } from '../../src/runtime/daemon.ts';
import { createHealth } from '../../src/runtime/health.ts';
import { silentLogger } from '../../src/runtime/log.ts';
import { endpoint, node, service, slice } from '../kube-proxy/objects.ts';
import { modes } from './proxy/modes.ts';
import { startBed } from './proxy/bed.ts';
import { checkMany, checkRows } from './proxy/check-rows.ts';
import { runRandomPackets } from './proxy/random-packets.ts';
import { runStateRows } from './proxy/state-rows.ts';
import { runStorm } from './proxy/storm.ts';
import { addressOf } from './proxy/topology.ts';
import { createWorld, daemonProgram } from './proxy/world.ts';
import { bundlePrograms } from './support/bundle-programs.ts';

// The daemon is started many times.
const folder = mkdtempSync(join(tmpdir(), 'podwire-proxy-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
await bundlePrograms([daemonProgram], folder);
const settings = { daemonFile: join(folder, 'daemon-process.mjs') };

for (const [index, [name, variant]] of modes.entries()) {
  t.test(name, { timeout: 200_000 }, async (t) => {
    const bed = await startBed();
    t.teardown(() => bed.stop());
    await t.test('over time it does what the scenario list says', async (t) => {
      const results = await runStateRows(createWorld(bed, variant, settings));
      t.ok(results.length >= 10, `${results.length} rows`);
      checkRows(t, results);
    });
    await t.test('500 random packets meet what the model says', async (t) => {
      checkMany(t, await runRandomPackets(bed, variant, 20, 25, 1 + index), 500);
    });
    await t.test('endpoints that come and go lose no connection that would not be lost at rest', async (t) => {
      const world = createWorld(bed, variant, settings);
      // In full for the one meant for large clusters.
      const [connections, toggles] = name === 'nftables fast' ? [40_000, 200] : [4_000, 20];
      const { idle, toggled } = await runStorm(world, connections, toggles);
      await world.kill();
      t.equal(toggled.toggles, toggles);
      t.ok(
        toggled.lost / toggled.of <= idle.lost / idle.of,
        `${toggled.lost} of ${toggled.of} lost, at rest ${idle.lost} of ${idle.of}: ${toggled.first}`,
      );
    });
  });
}

/** Counts what is sent to the kernel. */
function counting(runner: CommandRunner): CommandRunner & { restores: string[]; saves: number } {
  const counted = {
    restores: [] as string[],
    saves: 0,
    run: ((command, args, options) => {
      if (command.endsWith('-restore')) counted.restores.push(options?.input ?? '');
      if (command.endsWith('-save')) counted.saves++;
      return runner.run(command, args, options);
    }) as CommandRunner['run'],
  };
  return counted;
}

for (const variant of ['nft', 'legacy'] as const) {
  t.test(`what is sent to iptables-${variant}`, { timeout: 60_000 }, async (t) => {
    const bed = await startBed();
    t.teardown(() => bed.stop());
    const inNode = bed.runner('node');
    const runner = counting(inNode);
    const dump = async (): Promise<string> => {
      const both = await Promise.all(['iptables', 'ip6tables'].map((tool) => inNode.run(`${tool}-${variant}-save`, [])));
      return both.map(({ stdout }) => stdout.replace(/^#.*\n/gm, '').replace(/\[\d+:\d+\]/g, '')).join('');
    };
    // Somebody else's rules stand there first.
    for (const tool of ['iptables', 'ip6tables']) {
      await inNode.run(`${tool}-${variant}-restore`, ['--noflush'], {
        input:
          '*nat\n:FOREIGN - [0:0]\n-A FOREIGN -p tcp -m tcp --dport 9 -m comment --comment "not ours" -j RETURN\n-A PREROUTING -j FOREIGN\n-A POSTROUTING -o lo -j RETURN\nCOMMIT\n*filter\n-A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -m limit --limit 900/sec\nCOMMIT\n',
      });
    }
    const before = await dump();
    const foreign = before.split('\n').filter((line) => line.startsWith('-A'));

    const cluster = createFakeCluster();
    const publish = (...hosts: readonly number[]): void =>
      cluster.set(resources.endpointSlices, slice(hosts.map((host) => endpoint(`10.244.1.${host}`, 'worker-1'))));
    cluster.set(resources.nodes, node());
    cluster.set(resources.services, service({ type: 'NodePort', ports: [{ name: 'http', port: 80, protocol: 'TCP', nodePort: 30_080 }] }));
    publish(2, 3);
    const options = { nodeName: 'worker-1', clusterCIDRs: ['10.244.0.0/16'], iptables: variant, minSyncPeriod: 20, syncPeriod: 600_000 };
    const start = (): Promise<NodeDaemon<ProxyReport>> =>
      startProxy(
        options,
        { cluster, runner },
        { log: silentLogger(), clock: systemClock, metrics: new Registry(), health: createHealth() },
      );
    let daemon = await start();
    t.teardown(() => daemon.stop());
    const synced = async (): Promise<void> => {
      const now = Date.now();
      for (const end = now + 10_000; daemon.report().lastSync < now; ) {
        if (Date.now() > end) throw new Error('not synced in time');
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      t.notOk(daemon.report().families.find(({ problem }) => problem)?.problem, 'no sync failed');
    };
    publish(2, 3);
    await synced();
    t.equal(runner.restores.length, 2, 'the first sync is one restore for each family');

    publish(2, 3);
    await synced();
    t.equal(runner.restores.length, 2, 'identical state sends nothing');

    // After the first sync other modes are looked for and removed, which reads. One change more each time, until that is over.
    let hosts = [2, 3];
    let sent = 0;
    let read = 1;
    while (read > 0 && hosts.length < 30) {
      hosts = [...hosts, hosts.length + 2];
      [sent, read] = [runner.restores.length, runner.saves];
      publish(...hosts);
      await synced();
      [sent, read] = [runner.restores.length - sent, runner.saves - read];
    }
    t.equal(read, 0, 'one endpoint more reads nothing');
    t.equal(sent, 1, 'and is one restore, of one family');
    t.match(
      runner.restores.at(-1),
      /^\*nat\n(:KUBE-(SVC|SEP)-\w{16} - \[0:0\]\n){2}(-A KUBE-(SVC|SEP)-\w{16} .*\n)+COMMIT\n$/,
      'of its chains only',
    );

    await daemon.stop();
    daemon = await start();
    sent = runner.restores.length;
    publish(...hosts);
    await synced();
    t.equal(runner.restores.length, sent, 'a restart with the same objects sends nothing');

    const now = await dump();
    for (const line of foreign) t.ok(now.includes(line), line);
    t.ok(now.includes('KUBE-SERVICES'));
    await daemon.stop();
    t.ok((await cleanupProxy(options, inNode, silentLogger())) > 0);
    t.equal(await dump(), before, 'cleanup leaves the tables as they were');
    t.match(await bed.ask('pod', { op: 'open', flow: 'direct', protocol: 'TCP', host: addressOf('here', 4), port: 8080 }), [/^here /]);
  });
}
