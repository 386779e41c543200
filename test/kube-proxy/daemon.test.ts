import { Registry } from 'prom-client';
import { afterEach, describe, expect, test } from 'vitest';
import { CommandError, type CommandRunner } from '../../src/kernel/command-runner.ts';
import { createFakeIptables, type FakeIptables } from '../../src/kernel/fake-iptables.ts';
import { createFakeCluster, type FakeCluster } from '../../src/kube/fake-cluster.ts';
import { startProxy } from '../../src/kube-proxy/daemon.ts';
import { cleanupProxy } from '../../src/kube-proxy/effects/mode-removal.ts';
import type { EventNote } from '../../src/kube/events.ts';
import type { ProxyOptionsInput, ProxyReport } from '../../src/kube-proxy/index.ts';
import { resources } from '../../src/objects/index.ts';
import type { NodeDaemon } from '../../src/runtime/daemon.ts';
import { createFakeClock, type FakeClock } from '../../src/runtime/fake-clock.ts';
import { createHealth, type Health } from '../../src/runtime/health.ts';
import { silentLogger } from '../../src/runtime/log.ts';
import type { PortAnswer } from '../../src/runtime/port-servers.ts';
import { endpoint, node, service, slice } from './objects.ts';

interface World {
  readonly cluster: FakeCluster;
  readonly kernel: FakeIptables;
  readonly clock: FakeClock;
  readonly health: Health;
  readonly metrics: Registry;
  /** Commands other than iptables, in order. */
  readonly commands: string[];
  readonly warnings: string[];
  readonly events: EventNote[];
  /** What the health server answers, by path. */
  readonly answers: Map<string, () => PortAnswer>;
  conntrack: { stdout: string } | 'missing' | 'broken';
  start(options?: Partial<ProxyOptionsInput>): Promise<NodeDaemon<ProxyReport>>;
  runner: CommandRunner;
}

/** Connection tracking's settings, left alone. */
const untouched = { maxPerCore: 0, tcpEstablishedTimeout: 0, tcpCloseWaitTimeout: 0 };

const running: NodeDaemon<ProxyReport>[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((daemon) => daemon.stop()));
});

function createWorld(): World {
  const cluster = createFakeCluster();
  const kernel = createFakeIptables();
  const clock = createFakeClock(1_700_000_000_000);
  const log = silentLogger();
  const world: World = {
    cluster,
    kernel,
    clock,
    health: createHealth(),
    metrics: new Registry(),
    commands: [],
    warnings: [],
    events: [],
    answers: new Map(),
    conntrack: { stdout: '' },
    runner: {
      async run(command, args, options) {
        if (command.startsWith('ip')) return kernel.run(command, args, options);
        if (command === 'nft') throw new CommandError('failed', ['nft', ...args], 1, 'Error: No such file or directory');
        world.commands.push([command, ...args, options?.input ?? ''].join(' ').trim());
        if (command === 'conntrack' && world.conntrack === 'missing') throw new CommandError('not-installed', ['conntrack'], undefined, '');
        if (command === 'conntrack' && world.conntrack === 'broken') throw new CommandError('failed', ['conntrack'], 1, 'no netlink');
        return {
          stdout: typeof world.conntrack === 'object' && command === 'conntrack' ? world.conntrack.stdout : '',
          stderr: '',
          exitCode: 0,
        };
      },
    },
    async start(options = {}) {
      const warn = (_: unknown, text?: string): void => void world.warnings.push(text ?? String(_));
      const watched = Object.assign(Object.create(log) as typeof log, { child: () => watched, warn });
      const daemon = await startProxy(
        { nodeName: 'worker-1', clusterCIDRs: ['10.244.0.0/16'], conntrack: untouched, ...options },
        { cluster, runner: world.runner, events: { record: (note) => void world.events.push(note) } },
        { log: watched, clock, metrics: new Registry(), health: world.health, answers: world.answers },
      );
      running.push(daemon);
      return daemon;
    },
  };
  cluster.set(resources.nodes, node());
  cluster.set(resources.services, service({}));
  cluster.set(resources.endpointSlices, slice([endpoint('10.244.1.2', 'worker-1')]));
  return world;
}

const natChains = (kernel: FakeIptables): string[] => [...(kernel.rules(4).tables.get('nat')?.keys() ?? [])];

describe('the service proxy', () => {
  test('sends one restore for each family at first, then nothing while nothing changes', async () => {
    const world = createWorld();
    const daemon = await world.start();
    expect(world.health.ready().ok).toBe(false);
    await world.clock.advance(100);
    expect(world.kernel.restores.map(({ family }) => family).sort()).toEqual([4, 6]);
    expect(world.health.ready().ok).toBe(true);
    expect(daemon.report()).toMatchObject({
      mode: 'iptables',
      services: [{ name: 'default/web:http', protocol: 'TCP', frontends: ['10.96.0.20:80'], backends: ['10.244.1.2:8080'] }],
      families: [
        { family: 4, services: 1, backends: 1, problem: undefined },
        { family: 6, services: 0 },
      ],
    });
    await world.clock.advance(100_000);
    expect(world.kernel.restores).toHaveLength(2);
  });

  test('puts many changes in one sync, no sooner than the least period after the last', async () => {
    const world = createWorld();
    await world.start({ minSyncPeriod: 1_000, syncBurst: 1, families: ['IPv4'] });
    await world.clock.advance(10);
    for (const last of [3, 4, 5]) {
      world.cluster.set(resources.endpointSlices, slice([endpoint(`10.244.1.${last}`, 'worker-1')]));
      await world.clock.advance(100);
    }
    expect(world.kernel.restores).toHaveLength(1);
    await world.clock.advance(700);
    expect(world.kernel.restores).toHaveLength(2);
    expect(world.kernel.restores[1]!.input).toContain('10.244.1.5:8080');
    expect(world.kernel.restores[1]!.input).not.toContain('10.244.1.4:8080');
    expect(natChains(world.kernel).filter((name) => name.startsWith('KUBE-SEP-'))).toHaveLength(1);
  });

  test('does a burst of changes at once after a quiet time, and then waits for the least period', async () => {
    const world = createWorld();
    await world.start({ minSyncPeriod: 1_000, syncBurst: 2, families: ['IPv4'] });
    await world.clock.advance(5_000);
    const restores = async (last: number): Promise<number> => {
      world.cluster.set(resources.endpointSlices, slice([endpoint(`10.244.1.${last}`, 'worker-1')]));
      await world.clock.advance(10);
      return world.kernel.restores.length;
    };
    expect([await restores(3), await restores(4), await restores(5), await restores(6)]).toEqual([2, 3, 3, 3]);
    await world.clock.advance(1_000);
    expect(world.kernel.restores).toHaveLength(4);
    expect(world.kernel.restores.at(-1)!.input).toContain('10.244.1.6:8080');
  });

  test('reads the kernel only at the resync, and repairs what it finds', async () => {
    const world = createWorld();
    await world.start({ families: ['IPv4'] });
    await world.clock.advance(100);
    const { saves } = world.kernel;
    world.kernel.tamper(
      4,
      '*nat\n-F KUBE-SERVICES\n-D PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES\nCOMMIT\n',
    );
    world.cluster.set(resources.endpointSlices, slice([endpoint('10.244.1.3', 'worker-1')]));
    await world.clock.advance(100);
    expect(world.kernel.saves).toBe(saves);
    await world.clock.advance(30_000);
    expect(world.kernel.restores.at(-1)!.input).toContain('-A KUBE-SERVICES');
    expect(world.kernel.restores.at(-1)!.input).toContain('-I PREROUTING 1');
  });

  test('reads again when the kernel is not what it was taken for', async () => {
    const world = createWorld();
    const daemon = await world.start({ families: ['IPv4'] });
    await world.clock.advance(100);
    // The chain of the endpoint is gone, so that the next change cannot be what it should be.
    world.kernel.tamper(
      4,
      `*nat\n${natChains(world.kernel)
        .filter((name) => /^KUBE-(SVC|SERVICES)/.test(name))
        .map((name) => `-F ${name}`)
        .join('\n')}\nCOMMIT\n`,
    );
    world.kernel.tamper(
      4,
      `*nat\n${natChains(world.kernel)
        .filter((name) => name.startsWith('KUBE-SEP'))
        .flatMap((name) => [`-F ${name}`, `-X ${name}`])
        .join('\n')}\nCOMMIT\n`,
    );
    world.kernel.failNext('iptables-restore: line 3 failed: No chain/target/match by that name.');
    world.cluster.set(resources.endpointSlices, slice([endpoint('10.244.1.2', 'worker-1'), endpoint('10.244.1.3', 'worker-1')]));
    await world.clock.advance(10);
    expect(daemon.report().families[0]!.problem).toMatch(/No chain/);
    await world.clock.advance(100);
    expect(daemon.report().families[0]!.problem).toBeUndefined();
    expect(natChains(world.kernel).filter((name) => name.startsWith('KUBE-SEP-'))).toHaveLength(2);
    expect(world.kernel.rules(4).tables.get('nat')!.get('KUBE-SERVICES')!.rules).toHaveLength(2);
  });

  test('finds its rules after a restart and sends nothing; cleanup then leaves nothing', async () => {
    const world = createWorld();
    world.kernel.tamper(4, '*nat\n:FOREIGN - [0:0]\n-A PREROUTING -j FOREIGN\nCOMMIT\n');
    const first = await world.start();
    await world.clock.advance(100);
    await first.stop();
    expect(natChains(world.kernel)).toContain('KUBE-SERVICES');
    await world.start();
    await world.clock.advance(100);
    expect(world.kernel.restores).toHaveLength(2);
    await cleanupProxy({ nodeName: 'worker-1' }, world.runner, silentLogger());
    expect(natChains(world.kernel).filter((name) => name.startsWith('KUBE-'))).toEqual([]);
    expect(world.kernel.rules(4).tables.get('nat')!.get('PREROUTING')!.rules).toHaveLength(1);
    expect(await cleanupProxy({ nodeName: 'worker-1' }, world.runner, silentLogger())).toBe(0);
  });

  test('a failing family does not hold up the other, and readiness names it', async () => {
    const world = createWorld();
    const { runner } = world;
    let isLocked = true;
    world.runner = {
      run: (command, args, options) =>
        isLocked && command === 'ip6tables-restore'
          ? Promise.reject(new CommandError('failed', [command], 4, 'Another app is currently holding the xtables lock'))
          : runner.run(command, args, options),
    };
    const daemon = await world.start();
    await world.clock.advance(100);
    expect(world.kernel.restores.map(({ family }) => family)).toEqual([4]);
    expect(daemon.report().families[1]!.problem).toMatch(/xtables lock/);
    expect(world.health.ready()).toMatchObject({ ok: false, checks: [{ name: 'proxy' }] });
    expect(world.health.live().ok).toBe(true);
    await world.clock.advance(120_000);
    expect(world.health.live().ok).toBe(false);
    isLocked = false;
    await world.clock.advance(6_000);
    expect(world.health.ready().ok).toBe(true);
  });

  test('says what it could not program, once', async () => {
    const world = createWorld();
    world.cluster.set(resources.services, service({ externalIPs: ['nonsense'] }));
    const daemon = await world.start({ families: ['IPv4'] });
    await world.clock.advance(40_000);
    expect(world.warnings).toEqual(['cannot program Service default/web: spec.externalIPs[0] "nonsense" is not an IP address']);
    expect(daemon.report().families[0]!.unprogrammed).toHaveLength(1);
    expect(world.events).toMatchObject([
      {
        regarding: { kind: 'Service', metadata: { name: 'web' } },
        type: 'Warning',
        reason: 'FailedToProgramService',
        message: 'spec.externalIPs[0]: "nonsense" is not an IP address',
      },
    ]);
  });

  test('answers /healthz as kube-proxy does, and 503 once the node is to be deleted', async () => {
    const world = createWorld();
    await world.start();
    await world.clock.advance(100);
    expect(world.answers.get('/healthz')!()).toMatchObject({ code: 200, body: expect.stringContaining('"nodeEligible": true') });
    const leaving = node();
    world.cluster.set(resources.nodes, {
      ...leaving,
      spec: { ...leaving.spec, taints: [{ key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule' }] },
    });
    expect([world.answers.get('/healthz')!().code, world.answers.get('/livez')!().code]).toEqual([503, 200]);
  });

  test('sets up connection tracking as it is told', async () => {
    const world = createWorld();
    await world.start({ localhostNodePorts: false, conntrack: { ...untouched, udpTimeout: 40_000 } });
    expect(world.commands).toEqual([expect.stringMatching(/^sh .*net\/netfilter\/nf_conntrack_udp_timeout 40$/)]);
  });

  test('sets route_localnet only where node ports are served on 127.0.0.1', async () => {
    const world = createWorld();
    await world.start({ localhostNodePorts: false });
    expect(world.commands).toEqual([]);
    await world.start();
    expect(world.commands).toEqual([expect.stringContaining('net/ipv4/conf/all/route_localnet 1')]);
  });
});

describe('stale UDP flows', () => {
  const udp = (world: World, pods: readonly string[]): void => {
    world.cluster.set(resources.services, service({ ports: [{ name: 'http', port: 53, protocol: 'UDP' }] }));
    world.cluster.set(
      resources.endpointSlices,
      slice(
        pods.map((pod) => endpoint(pod, 'worker-1')),
        { ports: [{ name: 'http', port: 53, protocol: 'UDP' }] },
      ),
    );
  };
  const flow =
    'udp 17 29 src=10.244.1.9 dst=10.96.0.20 sport=4001 dport=53 src=10.244.1.2 dst=10.244.1.9 sport=53 dport=4001 mark=0 use=1\n';
  const options = { families: ['IPv4'] as ('IPv4' | 'IPv6')[], localhostNodePorts: false };

  test('are deleted in one pass after the rules', async () => {
    const world = createWorld();
    udp(world, ['10.244.1.2', '10.244.1.3']);
    world.conntrack = { stdout: flow };
    await world.start(options);
    await world.clock.advance(100);
    expect(world.commands.filter((line) => line.startsWith('sh'))).toEqual([]);
    udp(world, ['10.244.1.3']);
    await world.clock.advance(100);
    expect(world.commands.at(-1)).toBe(
      'sh -c cat | conntrack -R - -D -f ipv4 -p udp -d 10.96.0.20 --dport 53 -r 10.244.1.2 --reply-port-src 53',
    );
  });

  test('are looked for again after a failure', async () => {
    const world = createWorld();
    udp(world, ['10.244.1.2', '10.244.1.3']);
    await world.start(options);
    await world.clock.advance(100);
    world.conntrack = 'broken';
    udp(world, ['10.244.1.3']);
    await world.clock.advance(60);
    world.conntrack = { stdout: flow };
    await world.clock.advance(1_000);
    expect(world.commands.at(-1)).toContain('-r 10.244.1.2');
  });

  test('without the conntrack tool there is one warning, and the rules are still kept', async () => {
    const world = createWorld();
    udp(world, ['10.244.1.2', '10.244.1.3']);
    world.conntrack = 'missing';
    const daemon = await world.start(options);
    await world.clock.advance(100);
    udp(world, ['10.244.1.3']);
    await world.clock.advance(100);
    expect(world.warnings).toEqual([expect.stringContaining('conntrack tool is not installed')]);
    expect(daemon.report().families[0]!.problem).toBeUndefined();
  });
});

describe('options', () => {
  test.each([
    [{ clusterCIDRs: ['nonsense'] }, 'proxy option clusterCIDRs: "nonsense" is not a CIDR'],
    [{ clusterCIDRs: ['10.0.0.0/8', '11.0.0.0/8'] }, 'at most one CIDR of each family'],
    [{ nodePortAddresses: ['primary', '10.0.0.0/8'] }, 'proxy option nodePortAddresses: "primary" is not a CIDR'],
    [{ detectLocalMode: 'BridgeInterface' as const }, 'podBridgeInterface: needed'],
    [{ podBridgeInterface: 'a b' }, 'is not a link name'],
    [{ mode: 'userspace' } as unknown as Partial<ProxyOptionsInput>, 'proxy option mode'],
    [{ masqueradeBit: 32 }, 'proxy option masqueradeBit'],
    [{ nodeName: '' }, 'proxy option nodeName'],
    [{ unknown: 1 } as Partial<ProxyOptionsInput>, 'unknown'],
  ])('%j is refused', async (options, message) => {
    await expect(createWorld().start(options)).rejects.toThrow(message);
  });

  test('a machine without iptables is told at the start', async () => {
    const world = createWorld();
    world.runner = { run: (command) => Promise.reject(new CommandError('not-installed', [command], undefined, '')) };
    await expect(world.start()).rejects.toMatchObject({
      code: 'not-installed',
      message: expect.stringContaining('iptables-save is not installed'),
    });
  });
});
