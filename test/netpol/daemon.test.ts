import { describe, expect, it } from 'vitest';
import type { NftTable } from '../../src/dataplane/nft.ts';
import type { CommandRunner } from '../../src/kernel/command-runner.ts';
import { createFakeNft } from '../../src/kernel/fake-nft.ts';
import { NftError } from '../../src/kernel/nft.ts';
import { createFakeCluster } from '../../src/kube/fake-cluster.ts';
import { startNetworkPolicies } from '../../src/netpol/daemon.ts';
import { NetpolError } from '../../src/netpol/index.ts';
import { resources } from '../../src/objects/index.ts';
import { walkNft } from '../../src/packet-walk/index.ts';
import { createFakeClock } from '../../src/runtime/fake-clock.ts';
import { createHealth } from '../../src/runtime/health.ts';
import { silentLogger } from '../../src/runtime/log.ts';
import { Registry } from '../../src/runtime/metrics.ts';
import { gridNamespaces, gridPods, policy } from './fixtures.ts';

const name = 'podwire-netpol';

async function start({ nft = createFakeNft(), bridge = '1' as '0' | '1' | undefined, flows = '' } = {}) {
  const clock = createFakeClock(1_000_000);
  const cluster = createFakeCluster();
  for (const object of gridPods()) cluster.set(resources.pods, object);
  for (const object of gridNamespaces()) cluster.set(resources.namespaces, object);
  const deleted: string[] = [];
  const sysctls = { bridge };
  const runner: CommandRunner = {
    run(command, args, options) {
      const answer = (stdout: string, exitCode = 0) => Promise.resolve({ stdout, stderr: '', exitCode });
      if (command === 'cat') return sysctls.bridge === undefined ? answer('', 1) : answer(`${sysctls.bridge}\n`);
      if (command === 'conntrack' && args[0] === '-L') return answer(args.includes('ipv4') ? flows : '');
      if (options?.input?.includes('-D')) {
        deleted.push(options.input);
        return answer('');
      }
      return Promise.reject(new Error(`not expected: ${command}`));
    },
  };
  const health = createHealth();
  const metrics = new Registry();
  const daemon = await startNetworkPolicies(
    { nodeName: 'node1', resyncInterval: 10_000 },
    { cluster, runner, nft },
    { log: silentLogger(), clock, metrics, health },
  );
  await clock.advance(100);
  const allows = (from: string, to: string): boolean =>
    walkNft([nft.tables.get(name)!], 'forward', { from, to, protocol: 'tcp', port: 80, sourcePort: 9 }).verdict === 'accept';
  return { clock, cluster, nft, daemon, health, metrics, allows, deleted, sysctls };
}

const deny = policy('x/deny', { podSelector: { matchLabels: { pod: 'a' } } });

describe('the policy daemon', () => {
  it('brings the kernel along with the objects and touches it no more than needed', async () => {
    const { clock, cluster, nft, allows, daemon, health } = await start();
    expect(allows('10.244.2.1', '10.244.1.1')).toBe(true);
    cluster.set(resources.networkPolicies, deny);
    await clock.advance(100);
    expect(allows('10.244.2.1', '10.244.1.1')).toBe(false);
    const transactions = nft.applied.length;
    cluster.set(resources.pods, { ...gridPods()[8]! });
    await clock.advance(100);
    expect(nft.applied.length).toBe(transactions);
    cluster.remove(resources.networkPolicies, 'x/deny');
    await clock.advance(100);
    expect(allows('10.244.2.1', '10.244.1.1')).toBe(true);
    expect(health.ready().ok).toBe(true);
    await daemon.stop();
  });

  it('leaves its rules behind when it stops, and takes over what it finds when it starts', async () => {
    const first = await start();
    first.cluster.set(resources.networkPolicies, deny);
    await first.clock.advance(100);
    await first.daemon.stop();
    expect(first.allows('10.244.2.1', '10.244.1.1')).toBe(false);
    const again = await start({ nft: first.nft });
    // The new run knows no policy: what was left goes.
    expect(again.allows('10.244.2.1', '10.244.1.1')).toBe(true);
    await again.daemon.stop();
  });

  it('keeps all rules while the caches have not synced', async () => {
    const nft = createFakeNft();
    const before: NftTable = { name, chains: new Map([['left', { rules: [] }]]), sets: new Map(), counters: new Set() };
    nft.tables.set(name, before);
    const cluster = createFakeCluster();
    const unsynced = {
      ...cluster,
      informer: (...args: Parameters<typeof cluster.informer>) => ({
        ...cluster.informer(...args),
        synced: false,
        whenSynced: () => new Promise<void>(() => undefined),
      }),
    } as typeof cluster;
    const clock = createFakeClock();
    const health = createHealth();
    const runner: CommandRunner = { run: () => Promise.resolve({ stdout: '1', stderr: '', exitCode: 0 }) };
    const daemon = await startNetworkPolicies(
      { nodeName: 'node1' },
      { cluster: unsynced, runner, nft },
      { log: silentLogger(), clock, metrics: new Registry(), health },
    );
    await clock.advance(120_000);
    expect(nft.tables.get(name)).toBe(before);
    expect(health.ready().checks).toEqual([{ name: 'netpol', problem: expect.stringContaining('waiting for') }]);
    await daemon.stop();
  });

  it('repairs at the next resync what somebody else has changed, and reads the kernel no more often', async () => {
    const { clock, cluster, nft, allows, daemon } = await start();
    cluster.set(resources.networkPolicies, deny);
    await clock.advance(100);
    const reads = nft.reads;
    await nft.apply({ table: name, operations: [{ op: 'flush-chain', chain: 'ingress' }] });
    expect(allows('10.244.2.1', '10.244.1.1')).toBe(true);
    await clock.advance(10_100);
    expect(allows('10.244.2.1', '10.244.1.1')).toBe(false);
    expect(nft.reads).toBe(reads + 1);
    await daemon.stop();
  });

  it('tries again after a failure, reading first what is there, and says so meanwhile', async () => {
    const { clock, cluster, nft, allows, daemon, health } = await start();
    nft.failNext(new NftError('failed', 'nft: Message too long'));
    cluster.set(resources.networkPolicies, deny);
    await clock.advance(21);
    expect(health.ready().checks[0]?.problem).toMatch(/Message too long/);
    await clock.advance(1_000);
    expect(health.ready().ok).toBe(true);
    expect(allows('10.244.2.1', '10.244.1.1')).toBe(false);
    await daemon.stop();
  });

  it('is not ready while the bridge hides packets from it, and tells the remedy', async () => {
    const { clock, health, daemon, sysctls } = await start({ bridge: '0' });
    expect(health.ready().checks[0]?.problem).toMatch(/bridge-nf-call-iptables is 0.*sysctl -w/);
    expect(daemon.report().problem).toMatch(/bridge-nf-call/);
    sysctls.bridge = '1';
    await clock.advance(10_100);
    expect(health.ready().ok).toBe(true);
    await daemon.stop();
  });

  it('reports policies, isolated pods and drops', async () => {
    const { clock, cluster, nft, daemon, metrics } = await start();
    cluster.set(resources.networkPolicies, deny);
    cluster.set(resources.networkPolicies, policy('y/out', { podSelector: {}, policyTypes: ['Egress'] }));
    cluster.set(resources.networkPolicies, policy('z/nobody', { podSelector: { matchLabels: { no: 'body' } } }));
    await clock.advance(2_000);
    nft.count(name, 'dropped-ingress', { packets: 7, bytes: 420 });
    daemon.report();
    await clock.advance(10);
    expect(daemon.report()).toMatchObject({
      table: name,
      policies: [
        { namespace: 'x', name: 'deny', directions: ['ingress'], pods: ['a'] },
        { namespace: 'y', name: 'out', directions: ['egress'], pods: ['a', 'b', 'c'] },
      ],
      isolated: { ingress: 1, egress: 3 },
      drops: { ingress: 7, egress: 0 },
    });
    expect(daemon.report().problem).toBeUndefined();
    expect(await metrics.metrics()).toMatch(/podwire_netpol_dropped_packets\{direction="ingress"\} 7/);
    await daemon.stop();
  });

  it('cuts the UDP flows between pods that are denied now, and no others', async () => {
    const flow = (from: string, to: string, port: number) =>
      `udp 17 29 src=${from} dst=10.96.0.9 sport=5000 dport=${port} src=${to} dst=${from} sport=${port} dport=5000 [ASSURED] mark=0 use=1`;
    const { clock, cluster, daemon, deleted } = await start({
      flows: [flow('10.244.2.1', '10.244.1.1', 53), flow('10.244.2.1', '10.244.1.2', 54), flow('192.168.88.11', '10.244.1.1', 55)].join(
        '\n',
      ),
    });
    cluster.set(resources.networkPolicies, deny);
    await clock.advance(100);
    expect(deleted.join('\n')).toMatch(/-s 10\.244\.2\.1 .*--dport 53/);
    expect(deleted.join('\n')).not.toMatch(/--dport 5[45]/);
    await daemon.stop();
  });

  it('refuses to start with a wrong option or without nft', async () => {
    const clock = createFakeClock();
    const context = { log: silentLogger(), clock, metrics: new Registry(), health: createHealth() };
    const runner: CommandRunner = { run: () => Promise.resolve({ stdout: '1', stderr: '', exitCode: 0 }) };
    const begin = (options: object, nft = createFakeNft()) =>
      startNetworkPolicies(options, { cluster: createFakeCluster(), runner, nft }, context);
    await expect(begin({})).rejects.toThrow(NetpolError);
    await expect(begin({ nodeName: 'n', table: 'a; b' })).rejects.toThrow(/option table/);
    const broken = {
      ...createFakeNft(),
      counters: () => Promise.reject(new NftError('not-installed', 'nft is not installed (Debian package nftables)')),
    };
    await expect(begin({ nodeName: 'n' }, broken)).rejects.toThrow(/not installed/);
  });
});
