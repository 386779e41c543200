import { execFileSync } from 'node:child_process';
import t, { type Test } from 'tap';
import { inNetworkNamespace, systemRunner } from '../../src/kernel/command-runner.ts';
import { createFakeCluster } from '../../src/kube/fake-cluster.ts';
import { startNetworkPolicies } from '../../src/netpol/daemon.ts';
import type { NetpolReport } from '../../src/netpol/index.ts';
import { type NetworkPolicy, type Pod, resources } from '../../src/objects/index.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import type { NodeDaemon } from '../../src/runtime/daemon.ts';
import { createHealth } from '../../src/runtime/health.ts';
import { silentLogger } from '../../src/runtime/log.ts';
import { Registry } from '../../src/runtime/metrics.ts';
import { namespace, pod, policy } from '../netpol/fixtures.ts';
import { createTwoNodes } from './netpol/nodes.ts';

const world = await createTwoNodes();
t.teardown(() => world.close());

const families = [4, 6] as const;
const pods: Pod[] = ['a', 'b', 'c', 'd'].map((name) =>
  pod(
    `default/${name}`,
    families.map((family) => world.addressOf(name, family)),
    { app: name },
    {
      node: name < 'c' ? 'node1' : 'node2',
      ports: [
        { name: 'web', containerPort: 80 },
        { name: 'dns', containerPort: 53, protocol: 'UDP' },
      ],
    },
  ),
);
const namespaces = [namespace('default')];
const selector = (app: string) => ({ matchLabels: { app } });

/** The daemons of both nodes, on one cluster. */
async function enforce(): Promise<{
  set(...policies: NetworkPolicy[]): Promise<void>;
  clear(): Promise<void>;
  reports(): NetpolReport[];
  stop(): Promise<void>;
}> {
  const cluster = createFakeCluster();
  for (const each of pods) cluster.set(resources.pods, each);
  for (const each of namespaces) cluster.set(resources.namespaces, each);
  const health = createHealth();
  const daemons: NodeDaemon<NetpolReport>[] = [];
  for (const node of ['node1', 'node2']) {
    const runner = inNetworkNamespace(systemRunner, world.path(node));
    daemons.push(
      await startNetworkPolicies(
        { nodeName: node },
        { cluster, runner },
        { log: silentLogger(), clock: systemClock, metrics: new Registry(), health },
      ),
    );
  }
  const reports = (): NetpolReport[] => daemons.map((daemon) => daemon.report());
  const settled = async (): Promise<void> => {
    const since = Date.now();
    while (!reports().every(({ lastSync, problem }) => lastSync > since && problem === undefined)) {
      if (Date.now() - since > 10_000) throw new Error(JSON.stringify(reports()));
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  await settled();
  return {
    reports,
    async set(...policies) {
      for (const each of policies) cluster.set(resources.networkPolicies, each);
      await settled();
    },
    async clear() {
      for (const key of cluster.informer(resources.networkPolicies).store.keys()) cluster.remove(resources.networkPolicies, key);
      await settled();
    },
    async stop() {
      await Promise.all(daemons.map((daemon) => daemon.stop()));
    },
  };
}

type Attempt = [from: string, to: string, port: number, protocol: 'tcp' | 'udp', expected: boolean];

/** All attempts at once, in both families. */
async function expectAll(t: Test, attempts: readonly Attempt[]): Promise<void> {
  await Promise.all(
    attempts.flatMap(([from, to, port, protocol, expected]) =>
      families.map(async (family) =>
        t.equal(
          await world.reaches(from, to, port, family, protocol),
          expected,
          `${from} ${expected ? 'reaches' : 'does not reach'} ${to} ${port}/${protocol} by IPv${family}`,
        ),
      ),
    ),
  );
}

const everyPair = (expected: (from: string, to: string) => boolean): Attempt[] =>
  ['a', 'b', 'c', 'd'].flatMap((from) =>
    ['a', 'b', 'c', 'd'].filter((to) => to !== from).map((to): Attempt => [from, to, 80, 'tcp', expected(from, to)]),
  );

t.test('policies decide over real connections on one node and between nodes', async (t) => {
  const enforcement = await enforce();
  t.teardown(() => enforcement.stop());

  await t.test('without policies every pod reaches every pod', (t) =>
    expectAll(
      t,
      everyPair(() => true),
    ),
  );

  await t.test('ingress denied: only its own node reaches the pod, and it still reaches others', async (t) => {
    await enforcement.set(policy('default/deny', { podSelector: selector('a') }));
    await expectAll(t, [
      ...everyPair((_, to) => to !== 'a'),
      ['c', 'a', 53, 'udp', false],
      ['a', 'c', 53, 'udp', true],
      ['node1', 'a', 80, 'tcp', true],
      ['node2', 'a', 80, 'tcp', false],
    ]);
    await enforcement.clear();
    await expectAll(
      t,
      everyPair(() => true),
    );
  });

  await t.test('egress denied: the pod reaches nobody but its own node, and is reached', async (t) => {
    await enforcement.set(policy('default/deny', { podSelector: selector('c'), policyTypes: ['Egress'] }));
    await expectAll(t, [
      ...everyPair((from) => from !== 'c'),
      ['c', 'a', 54, 'udp', false],
      ['c', 'node2', 80, 'tcp', true],
      ['c', 'node1', 80, 'tcp', false],
    ]);
    await enforcement.clear();
  });

  await t.test('allowed are the pods, ports and protocols that a policy names', async (t) => {
    await enforcement.set(
      policy('default/a', {
        podSelector: selector('a'),
        ingress: [
          {
            from: [{ podSelector: selector('b') }, { podSelector: selector('c') }],
            ports: [{ port: 'web' }, { port: 'dns', protocol: 'UDP' }],
          },
        ],
      }),
      policy('default/b', {
        podSelector: selector('b'),
        policyTypes: ['Egress'],
        egress: [
          { to: [{ namespaceSelector: {}, podSelector: selector('a') }], ports: [{ port: 80, endPort: 81 }] },
          { ports: [{ port: 54, protocol: 'UDP' }] },
        ],
      }),
    );
    await expectAll(t, [
      ['b', 'a', 80, 'tcp', true],
      ['c', 'a', 80, 'tcp', true],
      ['d', 'a', 80, 'tcp', false],
      ['c', 'a', 81, 'tcp', false],
      ['b', 'a', 81, 'tcp', false],
      ['c', 'a', 53, 'udp', true],
      ['b', 'a', 53, 'udp', false],
      ['d', 'a', 53, 'udp', false],
      ['b', 'c', 54, 'udp', true],
      ['b', 'd', 53, 'udp', false],
      ['b', 'c', 80, 'tcp', false],
      ['a', 'b', 80, 'tcp', true],
    ]);
    await enforcement.clear();
  });

  await t.test('blocks of addresses, with exceptions', async (t) => {
    const block = (cidr: string, ...except: string[]) => ({ ipBlock: { cidr, except } });
    const from = [block('10.244.0.0/16', `${world.addressOf('d', 4)}/32`), block('fd00:10:244::/48', `${world.addressOf('d', 6)}/128`)];
    await enforcement.set(policy('default/a', { podSelector: selector('a'), ingress: [{ from }] }));
    await expectAll(t, [
      ['b', 'a', 80, 'tcp', true],
      ['c', 'a', 80, 'tcp', true],
      ['d', 'a', 80, 'tcp', false],
      ['node2', 'a', 80, 'tcp', false],
    ]);
    await enforcement.clear();
  });

  await t.test('a new policy bites on connections that stand, and their end is no way back in', async (t) => {
    for (const family of families) t.ok(await world.open('c', 'a', 80, family));
    for (const family of families) t.ok(await world.open('a', 'd', 80, family));
    for (const family of families) t.ok(await world.echoes('c', 'a', 80, family));
    await enforcement.set(policy('default/deny', { podSelector: selector('a') }));
    for (const family of families) t.notOk(await world.echoes('c', 'a', 80, family), `from c to a by IPv${family}`);
    for (const family of families) t.ok(await world.echoes('a', 'd', 80, family), `from a to d by IPv${family}`);
    await enforcement.clear();
    // The client sends again by TCP's timer, which has doubled meanwhile.
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    for (const family of families) t.ok(await world.echoes('c', 'a', 80, family), `again from c to a by IPv${family}`);
  });

  await t.test('UDP flows that are denied now are forgotten, so that answers cannot go on in them', async (t) => {
    const tracked = (): string =>
      execFileSync('nsenter', [`--net=${world.path('node1')}`, '--', 'conntrack', '-L', '-p', 'udp'], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
    const flow = (to: string): RegExp => new RegExp(`src=${world.addressOf('c', 4)} dst=${world.addressOf(to, 4)} sport=\\d+ dport=53 `);
    for (const to of ['a', 'b']) t.ok(await world.reaches('c', to, 53, 4, 'udp'));
    t.match(tracked(), flow('a'));
    await enforcement.set(policy('default/deny', { podSelector: selector('a') }));
    for (const end = Date.now() + 3_000; flow('a').test(tracked()) && Date.now() < end; )
      await new Promise((resolve) => setTimeout(resolve, 50));
    t.notMatch(tracked(), flow('a'));
    t.match(tracked(), flow('b'), 'an allowed one stays');
    await enforcement.clear();
  });

  await t.test('what is dropped is counted by direction, and in the rule that names the pod', async (t) => {
    await enforcement.set(
      policy('default/deny', { podSelector: selector('a') }),
      policy('default/quiet', { podSelector: selector('d'), policyTypes: ['Egress'] }),
    );
    const before = enforcement.reports();
    await expectAll(t, [
      ['b', 'a', 80, 'tcp', false],
      ['d', 'b', 80, 'tcp', false],
    ]);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    enforcement.reports();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const after = enforcement.reports();
    t.ok(after[0]!.drops.ingress > before[0]!.drops.ingress);
    t.ok(after[1]!.drops.egress > before[1]!.drops.egress);
    t.equal(after[1]!.drops.ingress, before[1]!.drops.ingress);
    const listing = execFileSync('nsenter', [`--net=${world.path('node1')}`, '--', 'nft', 'list', 'table', 'inet', 'podwire-netpol'], {
      encoding: 'utf8',
    });
    t.match(listing, /counter name "dropped-ingress" counter packets [1-9]\d* bytes \d+ drop comment "default\/a"/);
    await enforcement.clear();
  });
});

t.test('killing the daemon leaves what it enforced, and its next run goes on from there', async (t) => {
  const enforcer = new URL('./netpol/enforcer.ts', import.meta.url).pathname;
  const input = (policies: NetworkPolicy[]): string => JSON.stringify({ nodeName: 'node1', pods, namespaces, policies });
  const denied: Attempt[] = [
    ['b', 'a', 80, 'tcp', false],
    ['c', 'a', 80, 'tcp', false],
    ['c', 'b', 80, 'tcp', true],
  ];
  const first = await world.run('node1', enforcer, input([policy('default/deny', { podSelector: selector('a') })]));
  await expectAll(t, denied);
  for (const family of families) t.ok(await world.open('a', 'c', 80, family));
  const ended = new Promise((resolve) => first.once('exit', resolve));
  first.kill('SIGKILL');
  await ended;
  await expectAll(t, denied);
  for (const family of families) t.ok(await world.echoes('a', 'c', 80, family), 'a connection outlives the daemon');
  await world.run('node1', enforcer, input([policy('default/deny', { podSelector: selector('b') })]));
  await expectAll(t, [
    ['b', 'a', 80, 'tcp', true],
    ['c', 'a', 80, 'tcp', true],
    ['c', 'b', 80, 'tcp', false],
  ]);
  for (const family of families) t.ok(await world.echoes('a', 'c', 80, family));
});
