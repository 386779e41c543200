import { describe, expect, it } from 'vitest';
import { startBgp } from '../../src/bgp/daemon.ts';
import type { BgpOptions, BgpReport } from '../../src/bgp/index.ts';
import { createFakeRouteKernel, type FakeRouteKernel } from '../../src/kernel/fake-route-kernel.ts';
import { createFakeCluster, type FakeCluster } from '../../src/kube/fake-cluster.ts';
import { resources } from '../../src/objects/index.ts';
import type { NodeDaemon } from '../../src/runtime/daemon.ts';
import { createFakeClock, type FakeClock } from '../../src/runtime/fake-clock.ts';
import { createHealth, type Health } from '../../src/runtime/health.ts';
import { silentLogger } from '../../src/runtime/log.ts';
import { Registry } from '../../src/runtime/metrics.ts';
import { createSimulatedNetwork, type SimulatedHost, type SimulatedNetwork } from '../../src/transport/simulated-tcp.ts';
import { seededRandom } from './harness.ts';
import { makeNode } from './nodes.ts';

interface Bed {
  readonly clock: FakeClock;
  readonly cluster: FakeCluster;
  readonly network: SimulatedNetwork;
  start(index: number, options?: Partial<BgpOptions>, kernel?: FakeRouteKernel): Promise<RunningNode>;
}

interface RunningNode {
  readonly daemon: NodeDaemon<BgpReport>;
  readonly kernel: FakeRouteKernel;
  readonly host: SimulatedHost;
  readonly health: Health;
  readonly metrics: Registry;
  routes(): string[];
}

const newKernel = (): FakeRouteKernel => createFakeRouteKernel({ eth0: ['192.168.88.0/24', 'fd00:88::/64'] });

function createBed(size: number): Bed {
  const clock = createFakeClock();
  const network = createSimulatedNetwork(clock);
  const cluster = createFakeCluster();
  const random = seededRandom(7);
  for (let index = 1; index <= size; index++) cluster.set(resources.nodes, makeNode(index));
  return {
    clock,
    cluster,
    network,
    async start(index, options = {}, kernel = newKernel()) {
      const host = network.host(`192.168.88.${index}`, `fd00:88::${index}`);
      const health = createHealth();
      const metrics = new Registry();
      const daemon = await startBgp(
        { nodeName: `n${index}`, holdTime: 9, restartTime: 15, ...options },
        { cluster, runner: kernel.runner, tcp: host, random },
        { clock, health, metrics, log: silentLogger() },
      );
      return {
        daemon,
        kernel,
        host,
        health,
        metrics,
        routes: () => kernel.routes.map(({ destination, gateway }) => `${destination} ${gateway}`).sort(),
      };
    },
  };
}

const routesTo = (...indices: number[]): string[] =>
  indices.flatMap((index) => [`10.244.${index}.0/24 192.168.88.${index}`, `fd00:10:244:${index}::/64 fd00:88::${index}`]).sort();

describe('the route daemon', () => {
  it('brings the pod routes of all nodes into every kernel within half a second', async () => {
    const bed = createBed(3);
    const nodes = await Promise.all([1, 2, 3].map((index) => bed.start(index)));
    await bed.clock.advance(500);
    expect(nodes.map((node) => node.routes())).toEqual([routesTo(2, 3), routesTo(1, 3), routesTo(1, 2)]);
    for (const { protocol } of nodes[0]!.kernel.routes) expect(protocol).toBe(176);
  });

  it('is ready once it listens and the kernel is synced', async () => {
    const bed = createBed(1);
    bed.cluster.remove(resources.nodes, 'n1');
    const node = await bed.start(1);
    await bed.clock.advance(100);
    expect(node.health.ready()).toMatchObject({ ok: false, checks: [{ problem: 'Node n1 has no InternalIP yet' }] });
    bed.cluster.set(resources.nodes, makeNode(1));
    await bed.clock.advance(100);
    expect(node.health.ready().ok).toBe(true);
  });

  it('removes the routes of a node that leaves the cluster, and takes in one that joins', async () => {
    const bed = createBed(3);
    const [one] = await Promise.all([1, 2, 3].map((index) => bed.start(index)));
    await bed.clock.advance(500);
    bed.cluster.remove(resources.nodes, 'n3');
    await bed.clock.advance(100);
    expect(one!.routes()).toEqual(routesTo(2));
    expect(one!.daemon.report().peers.map(({ name }) => name)).toEqual(['n2']);
    bed.cluster.set(resources.nodes, makeNode(4));
    await bed.start(4);
    await bed.clock.advance(500);
    expect(one!.routes()).toEqual(routesTo(2, 4));
  });

  it('follows a change of the pod CIDRs of a node', async () => {
    const bed = createBed(2);
    const [one] = await Promise.all([1, 2].map((index) => bed.start(index)));
    await bed.clock.advance(500);
    bed.cluster.set(resources.nodes, makeNode(2, { podCIDRs: ['10.244.77.0/24'] }));
    await bed.clock.advance(100);
    expect(one!.routes()).toEqual(['10.244.77.0/24 192.168.88.2']);
  });

  it('repairs deleted, tampered and added routes at the next resync, and leaves foreign ones alone', async () => {
    const bed = createBed(2);
    const [one] = await Promise.all([1, 2].map((index) => bed.start(index)));
    await bed.clock.advance(500);
    const foreign = { destination: '10.99.0.0/16', gateway: '192.168.88.77', device: 'eth0', protocol: 4, metric: 0 };
    one!.kernel.remove('10.244.2.0/24');
    one!.kernel.remove('fd00:10:244:2::/64');
    one!.kernel.put({ destination: 'fd00:10:244:2::/64', gateway: 'fd00:88::66', device: 'eth0', protocol: 176, metric: 1024 });
    one!.kernel.put({ destination: '10.50.0.0/16', gateway: '192.168.88.2', device: 'eth0', protocol: 176, metric: 0 });
    one!.kernel.put(foreign);
    await bed.clock.advance(3_100);
    expect(one!.routes()).toEqual(['10.99.0.0/16 192.168.88.77', ...routesTo(2)].sort());
    expect(one!.kernel.routes).toContainEqual(foreign);
  });

  it('reports a route whose place is taken, and installs it once the place is free', async () => {
    const bed = createBed(2);
    const kernel = newKernel();
    kernel.put({ destination: '10.244.2.0/24', gateway: '192.168.88.77', device: 'eth0', protocol: 4, metric: 0 });
    const [one] = await Promise.all([bed.start(1, {}, kernel), bed.start(2)]);
    await bed.clock.advance(500);
    const report = (): BgpReport['routes'][number] | undefined =>
      one!.daemon.report().routes.find(({ prefix }) => prefix === '10.244.2.0/24');
    expect(report()).toMatchObject({ inKernel: false, problem: 'RTNETLINK answers: File exists' });
    kernel.remove('10.244.2.0/24');
    await bed.clock.advance(1_500);
    expect(report()).toMatchObject({ inKernel: true, from: 'n2', reason: 'only path' });
  });

  it('withdraws from the kernel before another peer hears of it', async () => {
    const bed = createBed(2);
    const router = { address: '192.168.88.3', asn: 65_000, import: 'all', export: 'all' } as const;
    const one = await bed.start(1, { peers: [router] });
    const two = await bed.start(2);
    const outsideKernel = newKernel();
    const three = await startBgp(
      {
        localAddresses: ['192.168.88.3', 'fd00:88::3'],
        asn: 65_000,
        holdTime: 9,
        peers: [{ address: '192.168.88.1', asn: 64_512, import: 'all', export: 'all' }],
      },
      { runner: outsideKernel.runner, tcp: bed.network.host('192.168.88.3', 'fd00:88::3'), random: seededRandom(3) },
      { clock: bed.clock, health: createHealth(), metrics: new Registry(), log: silentLogger() },
    );
    await bed.clock.advance(1_000);
    expect(three.report().routes.find(({ prefix }) => prefix === '10.244.2.0/24')).toMatchObject({
      nextHop: '192.168.88.1',
      asPath: '64512',
    });
    await two.daemon.stop();
    const inside = (): boolean => one.kernel.routes.some(({ destination }) => destination === '10.244.2.0/24');
    const outside = (): boolean => three.report().routes.some(({ prefix }) => prefix === '10.244.2.0/24');
    const seen = new Set<string>();
    for (let time = 0; time < 16_000; time += 1) {
      await bed.clock.advance(1);
      seen.add(`${inside()} ${outside()}`);
      if (!outside()) break;
    }
    expect([...seen]).toEqual(['true true', 'false true', 'false false']);
  }, 60_000);

  it('keeps found routes after a restart until the peers have told theirs, then removes the rest', async () => {
    const bed = createBed(3);
    const [one, two, three] = await Promise.all([1, 2, 3].map((index) => bed.start(index)));
    await bed.clock.advance(500);
    one!.host.kill();
    await one!.daemon.stop();
    expect(one!.routes()).toEqual(routesTo(2, 3));
    // While it was away, node 3 lost one of its prefixes.
    bed.cluster.set(resources.nodes, makeNode(3, { podCIDRs: ['10.244.3.0/24'] }));
    await bed.clock.advance(1_000);
    const again = await bed.start(1, {}, one!.kernel);
    expect(again.daemon.report().deferring).toBe(true);
    for (let time = 0; time < 1_000; time += 10) {
      await bed.clock.advance(10);
      expect(again.routes()).toEqual(expect.arrayContaining([...routesTo(2), '10.244.3.0/24 192.168.88.3']));
      expect(two!.routes()).toEqual(expect.arrayContaining(routesTo(1)));
    }
    expect(again.daemon.report().deferring).toBe(false);
    expect(again.routes()).toEqual([...routesTo(2), '10.244.3.0/24 192.168.88.3'].sort());
    expect(three!.routes()).toEqual(routesTo(1, 2));
  });

  it('takes nothing out of the kernel after a restart for as long as the peers are away, up to the deferral time', async () => {
    const bed = createBed(3);
    const kernel = newKernel();
    kernel.put({ destination: '10.244.2.0/24', gateway: '192.168.88.2', device: 'eth0', protocol: 176, metric: 0 });
    const node = await bed.start(1, { deferralTime: 10 }, kernel);
    await bed.clock.advance(9_900);
    expect(node.routes()).toEqual(['10.244.2.0/24 192.168.88.2']);
    await bed.clock.advance(300);
    expect(node.routes()).toEqual([]);
  });

  it('removes what a peer told and took back, even while it waits for the others', async () => {
    const bed = createBed(3);
    const kernel = newKernel();
    for (const index of [2, 3])
      kernel.put({ destination: `10.244.${index}.0/24`, gateway: `192.168.88.${index}`, device: 'eth0', protocol: 176, metric: 0 });
    const node = await bed.start(1, {}, kernel);
    const two = await bed.start(2, { ceaseOnStop: true });
    await bed.clock.advance(1_000);
    expect(node.routes()).toEqual(['10.244.3.0/24 192.168.88.3', ...routesTo(2)].sort());
    await two.daemon.stop();
    await bed.clock.advance(100);
    expect(node.daemon.report().deferring).toBe(true);
    expect(node.routes()).toEqual(['10.244.3.0/24 192.168.88.3']);
  });

  it('says what it does not like when it starts', async () => {
    const bed = createBed(1);
    await bed.network.host('192.168.88.1').listen({ address: '192.168.88.1', port: 179 }, () => undefined);
    const start = startBgp(
      { localAddresses: ['192.168.88.1'] },
      { runner: newKernel().runner, tcp: bed.network.host('192.168.88.1') },
      { clock: bed.clock, health: createHealth(), metrics: new Registry(), log: silentLogger() },
    );
    await expect(start).rejects.toMatchObject({ code: 'address-in-use', message: expect.stringContaining('192.168.88.1 port 179') });
  });

  it('comes to listen once the port is free, and is not ready before', async () => {
    const bed = createBed(2);
    const other = await bed.network.host('192.168.88.1').listen({ address: '192.168.88.1', port: 179 }, () => undefined);
    const node = await bed.start(1);
    await bed.clock.advance(2_000);
    expect(node.health.ready().checks[0]?.problem).toContain('another program has it');
    await other.close();
    await bed.clock.advance(1_000);
    expect(node.health.ready().ok).toBe(true);
    expect(node.daemon.report().listening).toEqual(['192.168.88.1:179']);
  });

  it('reports and counts', async () => {
    const bed = createBed(2);
    const [one] = await Promise.all([1, 2].map((index) => bed.start(index)));
    await bed.clock.advance(10_500);
    const report = one!.daemon.report();
    expect(report).toMatchObject({
      asn: 64_512,
      routerId: '192.168.88.1',
      peers: [
        {
          name: 'n2',
          address: '192.168.88.2',
          state: 'Established',
          received: 2,
          accepted: 2,
          advertised: 2,
          stale: 0,
          holdTime: 9,
          families: [4, 6],
        },
      ],
    });
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
    const text = await one!.metrics.metrics();
    expect(text).toContain('bgp_peer_state{peer="n2",address="192.168.88.2"} 5');
    expect(text).toMatch(/bgp_messages_total\{peer="n2",direction="received",type="keepalive"\} [3-9]/);
    expect(text).toContain('bgp_kernel_routes 2');
    expect(text).toContain('bgp_loc_rib_routes 4');
  });
});
