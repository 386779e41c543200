import { Registry } from 'prom-client';
import { afterEach, describe, expect, test } from 'vitest';
import { printSave } from './ipvs-kernel.ts';
import { CommandError, type CommandRunner } from '../../src/kernel/command-runner.ts';
import { createFakeIpvs, type FakeIpvs } from '../../src/kernel/fake-ipvs.ts';
import { createFakeCluster, type FakeCluster } from '../../src/kube/fake-cluster.ts';
import { attributeLines } from '../../src/kube-proxy/attribution.ts';
import { compareModes } from '../../src/kube-proxy/compare-modes.ts';
import { startProxy } from '../../src/kube-proxy/daemon.ts';
import { cleanupProxy } from '../../src/kube-proxy/effects/mode-removal.ts';
import { programmersOf } from '../../src/kube-proxy/effects/programmers.ts';
import {
  compileProxy,
  nodeFacts,
  type ProxyModel,
  type ProxyOptionsInput,
  type ProxyReport,
  renderIpvs,
  resolveProxyOptions,
  resolveTraffic,
} from '../../src/kube-proxy/index.ts';
import { connReuseMode } from '../../src/kube-proxy/render/ipvs.ts';
import { type Endpoint, resources, type Service } from '../../src/objects/index.ts';
import { walkIpvsOutcomes, WalkError } from '../../src/packet-walk/index.ts';
import type { NodeDaemon } from '../../src/runtime/daemon.ts';
import { createFakeClock, type FakeClock } from '../../src/runtime/fake-clock.ts';
import { createHealth } from '../../src/runtime/health.ts';
import { silentLogger } from '../../src/runtime/log.ts';
import { endpoint, node, service, slice } from './objects.ts';

const nodeAddresses = ['192.168.88.12', '10.244.1.1'];
const running: NodeDaemon<ProxyReport>[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((daemon) => daemon.stop()));
});

interface World {
  readonly cluster: FakeCluster;
  readonly kernel: FakeIpvs;
  readonly clock: FakeClock;
  readonly runner: CommandRunner;
  start(options?: Partial<ProxyOptionsInput>): Promise<NodeDaemon<ProxyReport>>;
  /** Runs until the endpoints are in the kernel; returns what was sent for them. */
  setEndpoints(...endpoints: Endpoint[]): Promise<string>;
}

function createWorld(spec: Partial<Service['spec']> = {}): World {
  const cluster = createFakeCluster();
  const clock = createFakeClock(1_700_000_000_000);
  const kernel = createFakeIpvs({ lo: ['127.0.0.1', '::1'], eth0: ['192.168.88.12', 'fd00:88::12'], podwire0: ['10.244.1.1'] });
  const runner: CommandRunner = {
    run(command, args, options) {
      if (command === 'nft' && args.includes('list'))
        throw new CommandError('failed', ['nft', ...args], 1, 'Error: No such file or directory');
      if (command === 'nft' || command === 'conntrack') return Promise.resolve({ stdout: '', stderr: '', exitCode: 0 });
      return kernel.run(command, args, options);
    },
  };
  const world: World = {
    cluster,
    kernel,
    clock,
    runner,
    async start(options = {}) {
      const given: ProxyOptionsInput = {
        nodeName: 'worker-1',
        mode: 'ipvs',
        clusterCIDRs: ['10.244.0.0/16'],
        families: ['IPv4'],
        conntrack: { maxPerCore: 0, tcpEstablishedTimeout: 0, tcpCloseWaitTimeout: 0 },
        ...options,
      };
      const context = { log: silentLogger(), clock, metrics: new Registry(), health: createHealth() };
      const daemon = await startProxy(given, { cluster, runner }, context);
      running.push(daemon);
      await clock.advance(100);
      return daemon;
    },
    async setEndpoints(...endpoints) {
      const before = kernel.changes.length;
      cluster.set(resources.endpointSlices, slice(endpoints));
      await clock.advance(100);
      return kernel.changes
        .slice(before)
        .map(({ command, input }) => `${command}: ${input.trim()}`)
        .join('\n');
    },
  };
  cluster.set(resources.nodes, node());
  cluster.set(resources.services, service(spec));
  cluster.set(resources.endpointSlices, slice([endpoint('10.244.1.2', 'worker-1'), endpoint('10.244.2.3', 'worker-2')]));
  return world;
}

describe('the service proxy in mode ipvs', () => {
  test('brings each tool its part once, and nothing while nothing changes', async () => {
    const { kernel, clock, start } = createWorld({
      type: 'NodePort',
      ports: [{ name: 'http', port: 80, protocol: 'TCP', nodePort: 30_080 }],
    });
    const daemon = await start();
    expect(kernel.changes.map(({ command }) => command)).toEqual(['sh', 'ipset', 'iptables-restore', 'ipvsadm', 'ip']);
    expect([...kernel.servers.keys()].sort()).toEqual(['tcp 10.244.1.1:30080', 'tcp 10.96.0.20:80', 'tcp 192.168.88.12:30080']);
    expect([...kernel.servers.get('tcp 10.96.0.20:80')!.reals.keys()]).toEqual(['10.244.1.2:8080', '10.244.2.3:8080']);
    expect([...kernel.links.get('kube-ipvs0')!]).toEqual(['10.96.0.20']);
    expect(kernel.sysctls.get('net/ipv4/vs/conntrack')).toBe('1');
    expect(daemon.report()).toMatchObject({ mode: 'ipvs', families: [{ family: 4, services: 1, backends: 2, problem: undefined }] });
    await clock.advance(200_000);
    expect(kernel.changes).toHaveLength(5);
  });

  test('sends for one endpoint only what it is made of', async () => {
    const { setEndpoints, start } = createWorld();
    await start();
    const sent = await setEndpoints(
      endpoint('10.244.1.2', 'worker-1'),
      endpoint('10.244.2.3', 'worker-2'),
      endpoint('10.244.2.4', 'worker-2'),
    );
    expect(sent).toBe('ipvsadm: -a -t 10.96.0.20:80 -r 10.244.2.4:8080 -m -w 1');
  });

  test('lets an endpoint that is gone keep its connections, without new ones, until the last has ended', async () => {
    const { kernel, clock, setEndpoints, start } = createWorld();
    await start();
    kernel.connections.set('tcp 10.96.0.20:80 10.244.2.3:8080', 2);
    expect(await setEndpoints(endpoint('10.244.1.2', 'worker-1'))).toBe('ipvsadm: -e -t 10.96.0.20:80 -r 10.244.2.3:8080 -m -w 0');
    await clock.advance(200_000);
    expect(kernel.servers.get('tcp 10.96.0.20:80')!.reals.get('10.244.2.3:8080')?.weight).toBe(0);
    kernel.connections.clear();
    await clock.advance(60_000);
    expect(kernel.servers.get('tcp 10.96.0.20:80')!.reals.has('10.244.2.3:8080')).toBe(false);
    expect(kernel.changes.at(-1)!.input).toBe('-d -t 10.96.0.20:80 -r 10.244.2.3:8080\n');
  });

  test('takes it away with its connections after the graceful period', async () => {
    const { kernel, clock, setEndpoints, start } = createWorld();
    await start({ ipvsGracefulPeriod: 900_000 });
    kernel.connections.set('tcp 10.96.0.20:80 10.244.2.3:8080', 2);
    await setEndpoints(endpoint('10.244.1.2', 'worker-1'));
    await clock.advance(850_000);
    expect(kernel.servers.get('tcp 10.96.0.20:80')!.reals.has('10.244.2.3:8080')).toBe(true);
    await clock.advance(150_000);
    expect(kernel.servers.get('tcp 10.96.0.20:80')!.reals.has('10.244.2.3:8080')).toBe(false);
  });

  test('gives an endpoint that comes back while it drains its weight again', async () => {
    const { kernel, setEndpoints, start } = createWorld();
    await start();
    await setEndpoints(endpoint('10.244.1.2', 'worker-1'));
    expect(await setEndpoints(endpoint('10.244.1.2', 'worker-1'), endpoint('10.244.2.3', 'worker-2'))).toBe(
      'ipvsadm: -e -t 10.96.0.20:80 -r 10.244.2.3:8080 -m -w 1',
    );
    expect(kernel.servers.get('tcp 10.96.0.20:80')!.reals.get('10.244.2.3:8080')?.weight).toBe(1);
  });

  test('takes away an endpoint of UDP at once', async () => {
    const { cluster, kernel, clock, start } = createWorld({ ports: [{ name: 'http', port: 80, protocol: 'UDP' }] });
    const ports = [{ name: 'http', port: 8080, protocol: 'UDP' as const }];
    cluster.set(resources.endpointSlices, slice([endpoint('10.244.1.2', 'worker-1')], { ports }));
    await start();
    cluster.set(resources.endpointSlices, slice([endpoint('10.244.2.3', 'worker-2')], { ports }));
    await clock.advance(100);
    expect([...kernel.servers.get('udp 10.96.0.20:80')!.reals.keys()]).toEqual(['10.244.2.3:8080']);
  });

  test('repairs what others broke, by the next time it reads the kernel', async () => {
    const { kernel, clock, start } = createWorld();
    await start();
    const held = [printSave(kernel), [...kernel.links.get('kube-ipvs0')!]];
    kernel.servers = new Map();
    kernel.links.get('kube-ipvs0')!.clear();
    kernel.sysctls.set('net/ipv4/vs/conntrack', '0');
    kernel.sets = new Map([...kernel.sets].map(([name, set]) => [name, { ...set, elements: new Map() }]));
    await clock.advance(65_000);
    expect([printSave(kernel), [...kernel.links.get('kube-ipvs0')!]]).toEqual(held);
    expect(kernel.sysctls.get('net/ipv4/vs/conntrack')).toBe('1');
  });

  test('finds everything in place when it starts again, and lets what drains go on draining', async () => {
    const { kernel, setEndpoints, start } = createWorld();
    const first = await start();
    kernel.connections.set('tcp 10.96.0.20:80 10.244.2.3:8080', 1);
    await setEndpoints(endpoint('10.244.1.2', 'worker-1'));
    await first.stop();
    const sent = kernel.changes.length;
    await start();
    expect(kernel.changes).toHaveLength(sent);
    expect(kernel.servers.get('tcp 10.96.0.20:80')!.reals.get('10.244.2.3:8080')?.weight).toBe(0);
  });

  test('leaves virtual servers in excluded CIDRs alone', async () => {
    const { kernel, start } = createWorld();
    await kernel.run('ipvsadm', ['-R'], { input: '-A -t 198.51.100.9:80 -s rr\n-A -t 192.0.2.9:80 -s rr\n' });
    await start({ ipvsExcludeCIDRs: ['198.51.100.0/24'] });
    expect([...kernel.servers.keys()]).toEqual(['tcp 198.51.100.9:80', 'tcp 10.96.0.20:80']);
  });

  test('serves node ports at an address that the node gets, and no longer at one that it loses', async () => {
    const ports = [{ name: 'http', port: 80, protocol: 'TCP' as const, nodePort: 30_080 }];
    const { kernel, clock, start } = createWorld({ type: 'NodePort', ports });
    await start({ nodePortAddresses: ['192.168.0.0/16'] });
    const atNodePort = (): string[] => [...kernel.servers.keys()].filter((key) => key.endsWith(':30080'));
    expect(atNodePort()).toEqual(['tcp 192.168.88.12:30080']);
    kernel.links.get('eth0')!.add('192.168.89.12').delete('192.168.88.12');
    await clock.advance(95_000);
    expect(atNodePort()).toEqual(['tcp 192.168.89.12:30080']);
  });

  test("an external address that is the node's own is served without being put on the dummy link, and before a node port", async () => {
    const { cluster, kernel, clock, start } = createWorld({
      externalIPs: ['192.168.88.12'],
      ports: [{ name: 'http', port: 30_080, protocol: 'TCP' }],
    });
    const other = service(
      { type: 'NodePort', clusterIP: '10.96.0.21', ports: [{ name: 'http', port: 80, protocol: 'TCP', nodePort: 30_080 }] },
      { name: 'other' },
    );
    cluster.set(resources.services, other);
    await start();
    await clock.advance(100);
    expect([...kernel.links.get('kube-ipvs0')!].sort()).toEqual(['10.96.0.20', '10.96.0.21']);
    expect([...kernel.servers.get('tcp 192.168.88.12:30080')!.reals.keys()]).toEqual(['10.244.1.2:8080', '10.244.2.3:8080']);
  });

  test('has an address of both families on one link, and takes it down with the last of them', async () => {
    const { cluster, kernel, clock, start } = createWorld();
    cluster.set(resources.services, service({ clusterIPs: ['10.96.0.20', 'fd00:10:96::20'] }));
    await start({ families: ['IPv4', 'IPv6'] });
    await clock.advance(100);
    expect([...kernel.links.get('kube-ipvs0')!].sort()).toEqual(['10.96.0.20', 'fd00:10:96::20']);
    expect([...kernel.sets.keys()].filter((name) => name.length > 31)).toEqual([]);
    expect(kernel.sets.get('KUBE-6-CLUSTER-IP')?.family).toBe(6);
  });

  test.each([
    ['ip_vs', /no IP virtual servers \(IPVS\): load its module with "modprobe ip_vs", or choose --proxy-mode nftables/],
    ['ip_set', /modprobe ip_set"/],
  ] as const)('tells at its start that the kernel lacks %s, and what to do', async (module, message) => {
    const { kernel, start } = createWorld();
    kernel.absent.add(module);
    await expect(start()).rejects.toThrow(message);
  });

  test('tells that the kernel lacks dummy links', async () => {
    const { kernel, start } = createWorld();
    kernel.absent.add('dummy');
    const daemon = await start();
    expect(daemon.report().families[0]!.problem).toMatch(/modprobe dummy"/);
  });

  test.each([
    ['ipvsadm', 'Scheduler or persistence engine not found\n', /no IPVS scheduler rr: load its module with "modprobe ip_vs_rr"/],
    ['ipset', 'ipset v7.17: Error in line 1: Kernel error received: set type not supported', /modprobe ip_set_hash_ipportip"/],
    ['iptables-restore', 'iptables v1.8.9 (legacy): Kernel module xt_set is not loaded in.', /modprobe xt_set"/],
  ])('tells which module %s found missing', async (tool, stderr, message) => {
    const { kernel, start } = createWorld();
    const run = kernel.run.bind(kernel);
    kernel.run = (command, args, options) =>
      command === tool && options?.input !== undefined
        ? Promise.reject(new CommandError('failed', [command, ...args], 1, stderr))
        : run(command, args, options);
    const daemon = await start();
    expect(daemon.report().families[0]!.problem).toMatch(message);
  });

  test('a health check port is let through by the service addresses too, and the model says so', () => {
    const ports = [{ name: 'http', port: 80, protocol: 'TCP' as const, nodePort: 30_080 }];
    const { director, model, facts, options } = arrange({
      spec: { type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: 32_000, ports },
    });
    for (const [port, verdict, outcome] of [
      [32_000, 'accept', 'untouched'],
      [22, 'reject', 'rejected'],
    ] as const) {
      const packet = { hook: 'prerouting', from: '192.0.2.1', to: '10.96.0.20', port, protocol: 'tcp' } as const;
      expect(walkIpvsOutcomes(director, packet, { addresses: nodeAddresses })[0]?.result.verdict).toBe(verdict);
      expect(resolveTraffic(model, { ...packet, protocol: 'TCP' }, { node: facts, options, addresses: nodeAddresses }).outcome).toBe(
        outcome,
      );
    }
  });

  test('a client is held by one endpoint, as persistence has it, whatever the address it comes by', () => {
    const { director } = arrange({ spec: { sessionAffinity: 'ClientIP', externalIPs: ['203.0.113.7'] } });
    expect([...director.servers.values()].map(({ persistence }) => persistence)).toEqual([10_800, 10_800]);
  });

  test.each([
    ['5.8.18-generic', '0'],
    ['5.9.0', '1'],
    ['6.1.176', '1'],
    ['4.19.0', '0'],
  ])('on Linux %s connections from a port used just before are treated by mode %s', (release, mode) => {
    expect(connReuseMode(release)).toBe(mode);
  });

  test('sets strict ARP and timeouts where they are wanted', async () => {
    const { kernel, start } = createWorld();
    await start({ ipvsStrictARP: true, ipvsTCPTimeout: 60_000 });
    expect(kernel.sysctls.get('net/ipv4/conf/all/arp_ignore')).toBe('1');
    expect(kernel.sysctls.get('net/ipv4/conf/all/arp_announce')).toBe('2');
    expect(kernel.timeouts).toEqual([60, 120, 300]);
  });
});

describe('switching modes', () => {
  const foreign = '*nat\n:MINE - [0:0]\n-A MINE -j ACCEPT\n-I PREROUTING 1 -m comment --comment kubernetes -j MINE\nCOMMIT\n';
  const kubeLines = (kernel: FakeIpvs): string[] =>
    printSave(kernel)
      .split('\n')
      .filter((line) => line.includes('KUBE'));

  test('from iptables to ipvs and back removes all of the other, and nothing of others', async () => {
    const { kernel, clock, start } = createWorld({
      type: 'NodePort',
      ports: [{ name: 'http', port: 80, protocol: 'TCP', nodePort: 30_080 }],
    });
    kernel.iptables.tamper(4, foreign);
    const asIptables = await start({ mode: 'iptables' });
    await clock.advance(1_000);
    const pure = printSave(kernel);
    await asIptables.stop();
    const asIpvs = await start({ mode: 'ipvs' });
    await clock.advance(1_000);
    expect(kubeLines(kernel).filter((line) => /KUBE-(SVC|SEP|EXT)-|KUBE-NODEPORTS|KUBE-FIREWALL/.test(line))).toEqual([]);
    await asIpvs.stop();
    await (await start({ mode: 'iptables' })).stop();
    expect(printSave(kernel)).toBe(pure);
    expect(kernel.links.has('kube-ipvs0')).toBe(false);
    expect([...kernel.sets.keys(), ...kernel.servers.keys()]).toEqual([]);
    expect(printSave(kernel)).toContain('MINE');
  });

  test('from ipvs to nftables leaves nothing of ipvs', async () => {
    const { kernel, clock, start } = createWorld();
    await (await start()).stop();
    const daemon = await start({ mode: 'nftables' });
    await clock.advance(1_000);
    await daemon.stop();
    expect(daemon.report().families[0]!.problem).toBeUndefined();
    expect(kubeLines(kernel)).toEqual([]);
    expect([...kernel.sets.keys(), ...kernel.servers.keys()]).toEqual([]);
  });

  test('--cleanup removes link, sets, virtual servers and rules', async () => {
    const { kernel, runner, start } = createWorld();
    kernel.iptables.tamper(4, foreign);
    await (await start()).stop();
    expect(await cleanupProxy({ nodeName: 'worker-1', families: ['IPv4'] }, runner, silentLogger())).toBeGreaterThan(10);
    expect(kubeLines(kernel)).toEqual([]);
    expect(printSave(kernel)).toContain('MINE');
    expect([...kernel.sets.keys(), ...kernel.servers.keys()]).toEqual([]);
    expect(kernel.links.has('kube-ipvs0')).toBe(false);
  });

  test('virtual servers of others stay where mode ipvs has never been, and a machine without the tools is no trouble', async () => {
    const { kernel, runner, start } = createWorld();
    await kernel.run('ipvsadm', ['-R'], { input: '-A -t 198.51.100.9:80 -s rr\n' });
    await (await start({ mode: 'iptables' })).stop();
    expect([...kernel.servers.keys()]).toEqual(['tcp 198.51.100.9:80']);
    const bare: CommandRunner = {
      run: async (command, args, options) => {
        if (/^(ipset|ipvsadm|ip)$/.test(command)) throw new CommandError('not-installed', [command], undefined, '');
        return runner.run(command, args, options);
      },
    };
    expect(await cleanupProxy({ nodeName: 'worker-1', families: ['IPv4'] }, bare, silentLogger())).toBeGreaterThan(0);
  });
});

function arrange(
  more: { spec?: Partial<Service['spec']>; annotations?: Record<string, string>; options?: Partial<ProxyOptionsInput>; port?: number } = {},
) {
  const options = resolveProxyOptions({ nodeName: 'worker-1', mode: 'ipvs', clusterCIDRs: ['10.244.0.0/16'], ...more.options });
  const ports = [{ name: 'http', port: more.port ?? 8080, protocol: 'TCP' as const }];
  const input = {
    nodeName: 'worker-1',
    node: node(),
    services: [service(more.spec ?? {}, more.annotations ? { annotations: more.annotations } : {})],
    endpointSlices: [slice([endpoint('10.244.1.2', 'worker-1'), endpoint('10.244.2.3', 'worker-2')], { ports })],
  };
  const model: ProxyModel = compileProxy(input, 4);
  const facts = nodeFacts('worker-1', node(), 4);
  return { options, model, facts, director: renderIpvs(model, facts, options, nodeAddresses) };
}

describe('what a Service asks of IPVS', () => {
  test('affinity is persistence', () => {
    const { director } = arrange({ spec: { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } } });
    expect(director.servers.get('tcp 10.96.0.20:80')?.persistence).toBe(60);
  });

  test('a scheduler and its flags by annotation', () => {
    const { director, model } = arrange({
      annotations: { 'kube-router.io/service.scheduler': 'sh', 'kube-router.io/service.schedflags': 'flag-2,flag-1' },
    });
    expect(director.servers.get('tcp 10.96.0.20:80')).toMatchObject({ scheduler: 'sh', schedulerFlags: ['sh-fallback', 'sh-port'] });
    expect(model.problems).toEqual([]);
  });

  test.each([
    [{ 'kube-router.io/service.scheduler': 'fastest' }, 'kube-router.io/service.scheduler', '"fastest" is not a scheduler of IPVS'],
    [{ 'kube-router.io/service.schedflags': 'flag-1' }, 'kube-router.io/service.schedflags', '"flag-1" is not a flag'],
    [{ 'kube-router.io/service.dsr': 'wormhole' }, 'kube-router.io/service.dsr', 'neither tunnel nor droute'],
    [
      { 'kube-router.io/service.dsr': 'tunnel' },
      'kube-router.io/service.dsr',
      'cannot change the port: the service has 80, its endpoint 10.244.1.2:8080',
    ],
  ])('what makes no sense is a problem that names the annotation: %j', (annotations, key, reason) => {
    const { model, director } = arrange({ annotations, spec: { externalIPs: ['203.0.113.7'] } });
    expect(model.problems).toMatchObject([
      { object: 'Service default/web', field: `metadata.annotations[${key}]`, reason: expect.stringContaining(reason) },
    ]);
    expect(director.servers.get('tcp 203.0.113.7:80')!.reals.get('10.244.1.2:8080')).toMatchObject({ method: 'masq' });
  });

  test.each(['tunnel', 'droute'] as const)(
    'direct server return (%s): external addresses are forwarded as they are, the cluster IP is translated',
    (method) => {
      const { director, model, facts, options } = arrange({
        annotations: { 'kube-router.io/service.dsr': method },
        spec: { externalIPs: ['203.0.113.7'] },
        port: 80,
      });
      const methods = (key: string): string[] => [...director.servers.get(key)!.reals.values()].map((real) => real.method);
      expect(methods('tcp 203.0.113.7:80')).toEqual([method, method]);
      expect(methods('tcp 10.96.0.20:80')).toEqual(['masq', 'masq']);
      const packet = { hook: 'prerouting', from: '192.0.2.1', to: '203.0.113.7', port: 80, protocol: 'tcp' } as const;
      const walked = walkIpvsOutcomes(director, packet, { addresses: nodeAddresses });
      expect(walked.map(({ result }) => [result.to, result.masquerade])).toEqual([
        ['10.244.1.2:80', false],
        ['10.244.2.3:80', false],
      ]);
      const decision = resolveTraffic(model, { ...packet, protocol: 'TCP' }, { node: facts, options, addresses: nodeAddresses });
      expect(decision.backends.map(({ text, masquerade }) => [text, masquerade])).toEqual([
        ['10.244.1.2:80', false],
        ['10.244.2.3:80', false],
      ]);
    },
  );

  test('an unknown scheduler is refused as an option', () => {
    expect(() => arrange({ options: { ipvsScheduler: 'fastest' } })).toThrow('proxy option ipvsScheduler');
  });
});

describe('looking into mode ipvs', () => {
  const nodePort: Partial<Service['spec']> = {
    type: 'NodePort',
    externalTrafficPolicy: 'Local',
    ports: [{ name: 'http', port: 80, protocol: 'TCP', nodePort: 30_080 }],
  };

  test('each line of a plan is told whose it is', () => {
    const { model, facts, options } = arrange({ spec: { ...nodePort, externalIPs: ['203.0.113.7'] } });
    const [programmer] = programmersOf('ipvs', options, createFakeIpvs(), silentLogger());
    const change = programmer!.diff(programmer!.empty, programmer!.render(model, facts));
    const attributed = attributeLines(programmer!.lines(change), [model]);
    const own = attributed.find(({ service: name }) => name === 'default/web:http TCP');
    expect(own?.lines).toEqual(
      expect.arrayContaining([
        'add KUBE-CLUSTER-IP 10.96.0.20,tcp:80',
        'add KUBE-IPVS-IPS 10.96.0.20',
        'add KUBE-NODE-PORT-TCP 30080',
        'add KUBE-LOOP-BACK 10.244.1.2,tcp:8080,10.244.1.2',
        '-A -t 192.168.88.12:30080 -s rr',
        '-a -t 203.0.113.7:80 -r 10.244.1.2:8080 -m -w 1',
        'address add 203.0.113.7/32 dev kube-ipvs0',
      ]),
    );
    const others = attributed.filter(({ service: name }) => name === '').flatMap(({ lines }) => lines);
    expect(others.filter((line) => /^(add|-[AaEe] -t|address) /.test(line))).toEqual([]);
  });

  test('an insider under external policy Local is told apart from the other modes', () => {
    const { model, facts, options } = arrange({ spec: nodePort });
    const differences = compareModes(model, facts, options, nodeAddresses);
    const found = differences.find(({ about }) => about.endsWith('the endpoint 10.244.1.2 to the node port by 192.168.88.12:30080'));
    expect(found?.outcomes).toMatchObject({
      ipvs: expect.not.stringContaining('10.244.2.3'),
      iptables: expect.stringContaining('10.244.2.3'),
    });
  });

  test('a walk fails where it would have to guess', () => {
    const { director } = arrange();
    const packet = { hook: 'prerouting', to: '10.96.0.20', port: 80, protocol: 'tcp' } as const;
    const [[key, server]] = [...director.servers] as [[string, typeof director.servers extends ReadonlyMap<string, infer V> ? V : never]];
    const walk = (more: Partial<typeof director>) => () => walkIpvsOutcomes({ ...director, ...more }, packet);
    expect(walk({ servers: new Map([[key, { ...server, scheduler: 'mine' }]]) })).toThrow(WalkError);
    expect(walk({ sets: new Map() })).toThrow(/there is no set KUBE-/);
    expect(walk({})).not.toThrow();
  });

  test('a virtual server without a real server that takes connections refuses', () => {
    const { director } = arrange();
    const [key, server] = [...director.servers][0]!;
    const idle = new Map([...server.reals].map(([at, real]) => [at, { ...real, weight: 0 }] as const));
    const packet = { hook: 'prerouting', to: '10.96.0.20', port: 80, protocol: 'tcp' } as const;
    const [outcome] = walkIpvsOutcomes({ ...director, servers: new Map([[key, { ...server, reals: idle }]]) }, packet);
    expect(outcome?.result).toMatchObject({ verdict: 'reject', rejectWith: 'icmp-port-unreachable' });
  });
});
