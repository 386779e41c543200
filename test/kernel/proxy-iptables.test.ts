import t from 'tap';
import { diffIptables } from '../../src/dataplane/iptables-diff.ts';
import { applyIptables } from '../../src/dataplane/iptables-apply.ts';
import { inNetworkNamespace, systemRunner } from '../../src/kernel/command-runner.ts';
import { createIptables, IptablesError } from '../../src/kernel/iptables.ts';
import { compileProxy, emptyIptables, nodeFacts, proxyOwner, renderIptables, resolveProxyOptions } from '../../src/kube-proxy/index.ts';
import type { EndpointSlice, Service } from '../../src/objects/index.ts';
import { randomObjects } from '../kube-proxy/random-objects.ts';
import { refusedRestores } from '../kube-proxy/refused-restores.ts';

const name = `pwi${process.pid}`;
const runner = inNetworkNamespace(systemRunner, `/run/netns/${name}`);
await systemRunner.run('ip', ['netns', 'add', name]);
t.teardown(() => systemRunner.run('ip', ['netns', 'del', name]));

for (const variant of ['nft', 'legacy'] as const) {
  for (const family of [4, 6] as const) {
    t.test(`iptables-${variant}, IPv${family}: any state leads to any other and reads back as it was meant`, async (t) => {
      const iptables = createIptables(runner, family, { variant });
      let kernel = await iptables.read();
      for (let seed = 1; seed <= 12; seed++) {
        const options = resolveProxyOptions({
          nodeName: 'node1',
          clusterCIDRs: ['10.244.0.0/16', 'fd00:10:244::/56'],
          nodePortAddresses: seed % 3 === 0 ? ['192.168.88.0/24', 'fd00:88::/64'] : [],
          masqueradeAll: seed % 4 === 0,
          detectLocalMode: seed % 5 === 0 ? 'BridgeInterface' : 'ClusterCIDR',
          podBridgeInterface: 'podwire0',
        });
        const owner = proxyOwner(family, options);
        const model = compileProxy({ nodeName: 'node1', node: undefined, ...randomObjects(seed * family) }, family);
        const desired = seed === 12 ? emptyIptables(family) : renderIptables(model, nodeFacts('node1', undefined, family), options);
        const change = diffIptables(kernel, desired, owner);
        if (!change) continue;
        await iptables.check(change);
        await iptables.apply(change);
        const expected = applyIptables(kernel, change);
        kernel = await iptables.read();
        t.equal(diffIptables(kernel, desired, owner), undefined, `state ${seed} is in the kernel`);
        for (const [table, chains] of expected.tables)
          t.same([...kernel.tables.get(table)!.keys()].sort(), [...chains.keys()].sort(), `${table} has the chains foreseen`);
      }
      t.notOk(
        [...kernel.tables.values()].some((chains) => [...chains.keys()].some((chain) => chain.startsWith('KUBE-'))),
        'the last leaves nothing',
      );
    });
  }

  t.test(`iptables-${variant} refuses what the fake refuses`, async (t) => {
    const iptables = createIptables(runner, 4, { variant });
    const before = await iptables.read();
    for (const [why, input, only = variant] of refusedRestores) {
      if (only !== variant) continue;
      await t.rejects(runner.run(`iptables-${variant}-restore`, ['-w', '5', '--noflush'], { input }), why);
      t.same(await iptables.read(), before, `${why}: nothing is changed`);
    }
  });

  t.test(`iptables-${variant}: a change made for other rules is a conflict`, async (t) => {
    const iptables = createIptables(runner, 4, { variant });
    await t.rejects(iptables.apply({ family: 4, tables: [{ table: 'nat', operations: [{ op: 'delete-chain', chain: 'GONE' }] }] }), {
      code: 'conflict',
    });
    const error = await iptables
      .apply({ family: 4, tables: [{ table: 'nat', operations: [{ op: 'append', chain: 'GONE', rule: { matches: [] } }] }] })
      .catch((caught: unknown) => caught);
    t.ok(error instanceof IptablesError && error.code === 'conflict', String(error));
  });
}

t.test('iptables-nft takes a large load and a large removal in pieces, and holds what was meant', async (t) => {
  const indexes = Array.from({ length: 400 }, (_, index) => index);
  const metadata = (index: number) => ({ name: `service-${index}`, namespace: 'default' });
  const services = indexes.map((index): Service => {
    const spec = { clusterIP: `10.96.${index >> 8}.${index & 255}`, ports: [{ port: 80, protocol: 'TCP' as const }] };
    return { apiVersion: 'v1', kind: 'Service', metadata: metadata(index), spec };
  });
  const endpointSlices = indexes.map(
    (index): EndpointSlice => ({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { ...metadata(index), labels: { 'kubernetes.io/service-name': `service-${index}` } },
      addressType: 'IPv4',
      ports: [{ port: 8080, protocol: 'TCP' }],
      endpoints: [0, 1, 2].map((slot) => ({ addresses: [`10.24${slot}.${index >> 8}.${index & 255}`], conditions: { ready: true } })),
    }),
  );
  const restores: string[] = [];
  const counting: typeof runner = {
    run(command, args, options) {
      if (command.endsWith('-restore')) restores.push(command);
      return runner.run(command, args, options);
    },
  };
  const iptables = createIptables(counting, 4, { variant: 'nft' });
  const options = resolveProxyOptions({ nodeName: 'node1', clusterCIDRs: ['10.244.0.0/16'] });
  const owner = proxyOwner(4, options);
  const model = compileProxy({ nodeName: 'node1', node: undefined, services, endpointSlices }, 4);
  for (const desired of [renderIptables(model, nodeFacts('node1', undefined, 4), options), emptyIptables(4)]) {
    const before = restores.length;
    await iptables.apply(diffIptables(await iptables.read(), desired, owner)!);
    t.ok(restores.length - before > 1, 'several restores');
    t.equal(diffIptables(await iptables.read(), desired, owner), undefined);
  }
});
