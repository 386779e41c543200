import t from 'tap';
import { Registry } from 'prom-client';
import { createFakeCluster, type FakeCluster } from '../../src/kube/fake-cluster.ts';
import type { CommandRunner } from '../../src/kernel/command-runner.ts';
import { cleanupProxy, startProxy } from '../../src/kube-proxy/daemon.ts';
import type { ProxyReport } from '../../src/kube-proxy/report.ts';
import { type EndpointSlice, resources, type Service } from '../../src/objects/index.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import type { NodeDaemon } from '../../src/runtime/daemon.ts';
import { createHealth } from '../../src/runtime/health.ts';
import { silentLogger } from '../../src/runtime/log.ts';
import { addresses, type Bed, type Place, startBed } from './proxy/bed.ts';

const serverPort = 8080;
type Family = 4 | 6;
const clusterIP = (last: number, family: Family): string => (family === 4 ? `10.96.0.${last}` : `fd00:10:96::${last}`);
const addressOf = (place: Place, family: Family): string => addresses[place][family === 4 ? 0 : 1];

function service(
  name: string,
  last: number,
  spec: Partial<Service['spec']> = {},
  protocol: 'TCP' | 'UDP' = 'TCP',
  nodePort?: number,
): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default', uid: name },
    spec: {
      type: nodePort ? 'NodePort' : 'ClusterIP',
      clusterIP: clusterIP(last, 4),
      clusterIPs: [clusterIP(last, 4), clusterIP(last, 6)],
      ports: [{ name: 'main', port: 80, protocol, ...(nodePort ? { nodePort } : {}) }],
      ...spec,
    },
  };
}

const nodeOf: Partial<Record<Place, string>> = { podA: 'node1', podB: 'node1', podC: 'node2' };

function slice(name: string, pods: readonly Place[], family: Family, protocol: 'TCP' | 'UDP' = 'TCP'): EndpointSlice {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `${name}-v${family}`, namespace: 'default', labels: { 'kubernetes.io/service-name': name } },
    addressType: family === 4 ? 'IPv4' : 'IPv6',
    ports: [{ name: 'main', port: serverPort, protocol }],
    endpoints: pods.map((pod) => ({
      addresses: [addressOf(pod, family)],
      nodeName: nodeOf[pod]!,
      conditions: { ready: true, serving: true, terminating: false },
    })),
  };
}

function publish(cluster: FakeCluster, name: string, pods: readonly Place[], protocol: 'TCP' | 'UDP' = 'TCP'): void {
  for (const family of [4, 6] as const) cluster.set(resources.endpointSlices, slice(name, pods, family, protocol));
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

async function until(what: string, check: () => boolean | Promise<boolean>, timeout = 10_000): Promise<void> {
  const end = Date.now() + timeout;
  while (!(await check())) {
    if (Date.now() > end) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const namesOf = (lines: readonly string[]): string[] => [...new Set(lines.map((line) => line.split(' ')[0]!))].sort();
const sourcesOf = (lines: readonly string[]): string[] => [...new Set(lines.map((line) => line.split(' ')[1]!))].sort();

for (const variant of ['nft', 'legacy'] as const) {
  t.test(`services with iptables-${variant}`, { timeout: 120_000 }, async (t) => {
    const bed: Bed = await startBed(variant[0]!);
    t.teardown(() => bed.stop());
    const runner = counting(bed.runner('node1'));
    const dump = async (): Promise<string> => {
      const both = await Promise.all(['iptables', 'ip6tables'].map((tool) => bed.runner('node1').run(`${tool}-${variant}-save`, [])));
      return both.map(({ stdout }) => stdout.replace(/^#.*\n/gm, '').replace(/\[\d+:\d+\]/g, '')).join('');
    };
    // Somebody else's rules stand there first.
    for (const tool of ['iptables', 'ip6tables']) {
      await bed.runner('node1').run(`${tool}-${variant}-restore`, ['--noflush'], {
        input:
          '*nat\n:FOREIGN - [0:0]\n-A FOREIGN -p tcp -m tcp --dport 9 -m comment --comment "not ours" -j RETURN\n-A PREROUTING -j FOREIGN\n-A POSTROUTING -o lo -j RETURN\nCOMMIT\n*filter\n-A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -m limit --limit 900/sec\nCOMMIT\n',
      });
    }
    const before = await dump();
    const foreign = before.split('\n').filter((line) => line.startsWith('-A'));

    const cluster = createFakeCluster();
    cluster.set(resources.nodes, {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'node1' },
      status: { addresses: [addressOf('node1', 4), addressOf('node1', 6)].map((address) => ({ type: 'InternalIP' as const, address })) },
    });
    cluster.set(resources.services, service('web', 20, {}, 'TCP', 30_080));
    cluster.set(resources.services, service('name', 21, {}, 'UDP', 30_053));
    cluster.set(resources.services, service('none', 22, {}, 'TCP', 30_099));
    cluster.set(resources.services, service('self', 23));
    cluster.set(resources.services, service('near', 24, { externalTrafficPolicy: 'Local', internalTrafficPolicy: 'Local' }, 'TCP', 30_081));
    cluster.set(resources.services, service('sticky', 25, { sessionAffinity: 'ClientIP' }));
    publish(cluster, 'web', ['podA', 'podB', 'podC']);
    publish(cluster, 'name', ['podA', 'podC'], 'UDP');
    publish(cluster, 'self', ['podA']);
    publish(cluster, 'near', ['podB', 'podC']);
    publish(cluster, 'sticky', ['podA', 'podB', 'podC']);

    const options = {
      nodeName: 'node1',
      clusterCIDRs: ['10.244.0.0/16', 'fd00:10:244::/56'],
      iptables: variant,
      minSyncPeriod: 20,
      syncPeriod: 600,
    };
    const start = (): Promise<NodeDaemon<ProxyReport>> =>
      startProxy(
        options,
        { cluster, runner },
        { log: silentLogger(), clock: systemClock, metrics: new Registry(), health: createHealth() },
      );
    const synced = async (daemon: NodeDaemon<ProxyReport>): Promise<void> => {
      const now = Date.now();
      await until('synced', () => daemon.report().lastSync >= now);
      t.notOk(
        daemon.report().families.find(({ problem }) => problem),
        'no sync failed',
      );
    };
    let daemon = await start();
    t.teardown(() => daemon.stop());
    await until('first sync', () => daemon.report().lastSync > 0);
    t.equal(runner.restores.length, 2, 'the first sync is one restore for each family');
    for (const pod of ['podA', 'podB', 'podC'] as const) await bed.ask(pod, { op: 'serve', port: serverPort });
    const tcp = (place: Place, host: string, port: number, count = 1, timeout = 1_500) =>
      bed.ask(place, { op: 'tcp', host, port, count, timeout });

    for (const family of [4, 6] as const) {
      await t.test(`IPv${family}`, async (t) => {
        const web = clusterIP(20, family);
        const fromPod = await tcp('podA', web, 80, 60);
        t.same(namesOf(fromPod.lines), ['podA', 'podB', 'podC'], 'a pod reaches every endpoint by cluster IP, on both nodes');
        t.same(
          sourcesOf(fromPod.lines.filter((line) => !line.startsWith('podA'))),
          [addressOf('podA', family)],
          'between pods the source address is kept',
        );
        const hairpin = await tcp('podA', clusterIP(23, family), 80);
        t.match(hairpin.lines[0], /^podA /, 'a pod reaches itself through its service');
        t.not(sourcesOf(hairpin.lines)[0], addressOf('podA', family), 'and sees another source then');
        t.same(namesOf((await tcp('node1', web, 80, 60)).lines), ['podA', 'podB', 'podC'], 'a process of the node reaches every endpoint');

        const fromClient = await tcp('client', web, 80, 60);
        t.same(namesOf(fromClient.lines), ['podA', 'podB', 'podC'], 'an outsider reaches the cluster IP');
        t.notOk(sourcesOf(fromClient.lines).includes(addressOf('client', family)), 'and is masqueraded');
        const nodePort = await tcp('client', addressOf('node1', family), 30_080, 60);
        t.same(namesOf(nodePort.lines), ['podA', 'podB', 'podC'], 'an outsider reaches every endpoint by node port');
        if (family === 4) t.match((await tcp('node1', '127.0.0.1', 30_080)).lines[0], /^pod/, 'a node port answers on 127.0.0.1');

        for (const [place, host, port] of [
          ['podA', clusterIP(22, family), 80],
          ['node1', clusterIP(22, family), 80],
          ['client', addressOf('node1', family), 30_099],
          ['node1', addressOf('node1', family), 30_099],
          ['podA', addressOf('node1', family), 30_099],
        ] as const) {
          const { lines, milliseconds } = await tcp(place, host, port, 1, 3_000);
          t.match(lines[0], /ECONNREFUSED/, `without endpoints ${place} is refused at ${host} port ${port}`);
          t.ok(milliseconds < 1_000, 'at once');
        }

        const udp = await bed.ask('podB', {
          op: 'udp',
          host: clusterIP(21, family),
          port: 80,
          count: 30,
          timeout: 1_000,
          newSockets: true,
        });
        t.same(namesOf(udp.lines), ['podA', 'podC'], 'UDP reaches every endpoint');
        const udpNodePort = await bed.ask('client', {
          op: 'udp',
          host: addressOf('node1', family),
          port: 30_053,
          count: 30,
          timeout: 1_000,
          newSockets: true,
        });
        t.same(namesOf(udpNodePort.lines), ['podA', 'podC'], 'also by node port');

        t.same(
          namesOf((await tcp('podA', clusterIP(24, family), 80, 12)).lines),
          ['podB'],
          'internal policy Local uses the endpoints of this node only',
        );
        const local = await tcp('client', addressOf('node1', family), 30_081, 12);
        t.same(namesOf(local.lines), ['podB'], 'external policy Local too');
        t.same(sourcesOf(local.lines), [addressOf('client', family)], 'and keeps the source address');
        t.equal(
          namesOf((await tcp('podB', clusterIP(25, family), 80, 12)).lines).length,
          1,
          'session affinity keeps a client on its endpoint',
        );
      });
    }

    await t.test('an endpoint that goes takes its UDP flows with it', async (t) => {
      const ask = (count = 1) => bed.ask('podB', { op: 'udp', host: clusterIP(21, 4), port: 80, count, timeout: 500, sourcePort: 40_000 });
      const [first] = namesOf((await ask(3)).lines);
      t.match(first, /^pod[AC]$/, 'one socket stays with one endpoint');
      const other = first === 'podA' ? 'podC' : 'podA';
      publish(cluster, 'name', [other], 'UDP');
      await synced(daemon);
      t.same(namesOf((await ask(3)).lines), [other], 'the same socket reaches the endpoint that is left');
      publish(cluster, 'name', [], 'UDP');
      await synced(daemon);
      t.match((await ask()).lines[0], /ECONNREFUSED/, 'and is refused when none is');
      publish(cluster, 'name', ['podA', 'podC'], 'UDP');
      await synced(daemon);
      t.match((await ask()).lines[0], /^pod/, 'and is served when there are some again');
    });

    await t.test('identical state sends nothing', async (t) => {
      await synced(daemon);
      const sent = runner.restores.length;
      publish(cluster, 'web', ['podA', 'podB', 'podC']);
      await synced(daemon);
      t.equal(runner.restores.length, sent);
    });

    await t.test('one endpoint more sends only its chains, and reads nothing', async (t) => {
      await daemon.stop();
      daemon = await startProxy(
        { ...options, syncPeriod: 600_000 },
        { cluster, runner },
        { log: silentLogger(), clock: systemClock, metrics: new Registry(), health: createHealth() },
      );
      await synced(daemon);
      const sent = runner.restores.length;
      const { saves } = runner;
      cluster.set(resources.endpointSlices, slice('self', ['podA', 'podB'], 4));
      await synced(daemon);
      t.same(runner.restores.slice(sent).length, 1, 'one restore, of one family');
      t.match(runner.restores.at(-1), /^\*nat\n(:KUBE-(SVC|SEP)-\w{16} - \[0:0\]\n){2}(-A KUBE-(SVC|SEP)-\w{16} .*\n)+COMMIT\n$/);
      t.equal(runner.saves, saves);
    });

    await t.test('a flushed table is repaired', async (t) => {
      await daemon.stop();
      daemon = await start();
      await synced(daemon);
      const whole = await dump();
      await bed.runner('node1').run(`iptables-${variant}`, ['-t', 'nat', '-F', 'KUBE-SERVICES']);
      await bed.runner('node1').run(`iptables-${variant}`, ['-t', 'nat', '-D', 'PREROUTING', '1']);
      await bed.runner('node1').run(`ip6tables-${variant}`, ['-t', 'filter', '-F', 'KUBE-SERVICES']);
      await until('repaired', async () => (await dump()) === whole, 3_000);
      t.match((await tcp('podA', clusterIP(20, 4), 80)).lines[0], /^pod/);
    });

    await t.test('an established connection outlives the daemon and the service', async (t) => {
      t.match((await bed.ask('client', { op: 'open', host: addressOf('node1', 4), port: 30_080 })).lines[0], /^pod/);
      await daemon.stop();
      t.same((await bed.ask('client', { op: 'echo', text: 'while it is stopped' })).lines, ['while it is stopped']);
      const sent = runner.restores.length;
      daemon = await start();
      await synced(daemon);
      t.equal(runner.restores.length, sent, 'a restart with the same objects sends nothing');
      cluster.remove(resources.services, 'default/web');
      await synced(daemon);
      t.same((await bed.ask('client', { op: 'echo', text: 'after it is deleted' })).lines, ['after it is deleted']);
      t.notMatch((await tcp('client', addressOf('node1', 4), 30_080, 1, 500)).lines[0], /^pod/, 'new connections find no service');
    });

    await t.test("other people's rules stay, and cleanup leaves only them", async (t) => {
      const now = await dump();
      for (const line of foreign) t.ok(now.includes(line), line);
      t.ok(now.includes('KUBE-SERVICES'));
      await daemon.stop();
      t.ok((await cleanupProxy(options, bed.runner('node1'), silentLogger())) > 0);
      t.equal(await dump(), before, 'the tables are as they were');
    });
  });
}
