import t from 'tap';
import { diffIptables } from '../../src/dataplane/iptables-diff.ts';
import { applyIptables } from '../../src/dataplane/iptables-apply.ts';
import { inNetworkNamespace, systemRunner } from '../../src/kernel/command-runner.ts';
import { createIptables, IptablesError } from '../../src/kernel/iptables.ts';
import { compileProxy, emptyIptables, nodeFacts, proxyOwner, renderIptables, resolveProxyOptions } from '../../src/kube-proxy/index.ts';
import type { EndpointSlice, Service } from '../../src/objects/index.ts';
import { refusedRestores } from '../kube-proxy/refused-restores.ts';

const name = `pwi${process.pid}`;
const runner = inNetworkNamespace(systemRunner, `/run/netns/${name}`);
await systemRunner.run('ip', ['netns', 'add', name]);
t.teardown(() => systemRunner.run('ip', ['netns', 'del', name]));

/** A small generator with a seed, so that a failure comes again. */
function randomFrom(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

function randomObjects(seed: number): { services: Service[]; endpointSlices: EndpointSlice[] } {
  const random = randomFrom(seed);
  const one = <T>(...choices: T[]): T => choices[random(choices.length)]!;
  const services: Service[] = [];
  const endpointSlices: EndpointSlice[] = [];
  for (let i = 0; i < 1 + random(8); i++) {
    const protocol = one('TCP', 'UDP', 'SCTP' as const) as 'TCP';
    const type = one('ClusterIP', 'NodePort', 'LoadBalancer' as const) as 'ClusterIP';
    const metadata = { name: `service-${'x'.repeat(random(50))}${i}`, namespace: `namespace-${'y'.repeat(random(50))}` };
    services.push({
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: {
        type,
        clusterIP: `10.96.0.${i}`,
        clusterIPs: [`10.96.0.${i}`, `fd00:10:96::${i + 1}`],
        ports: [{ name: 'port', port: 1 + random(65_535), protocol, ...(type === 'ClusterIP' ? {} : { nodePort: 30_000 + i }) }],
        internalTrafficPolicy: one('Cluster', 'Local'),
        externalTrafficPolicy: one('Cluster', 'Local'),
        sessionAffinity: one('None', 'ClientIP'),
        externalIPs: one([], [`203.0.113.${i}`, `2001:db8::${i}`]),
        loadBalancerSourceRanges: one([], ['0.0.0.0/0', '::/0'], ['198.51.100.0/24', '192.168.88.0/24', '2001:db8::/32']),
        healthCheckNodePort: 31_000 + i,
      },
      status: { loadBalancer: { ingress: [{ ip: `203.0.113.${100 + i}` }, { ip: `2001:db8:1::${i}` }] } },
    });
    for (const family of [4, 6] as const) {
      endpointSlices.push({
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: {
          name: `${metadata.name}-${family}`,
          namespace: metadata.namespace,
          labels: { 'kubernetes.io/service-name': metadata.name },
        },
        addressType: `IPv${family}`,
        ports: [{ name: 'port', port: 1 + random(65_535), protocol }],
        endpoints: Array.from({ length: random(6) }, (_, index) => ({
          addresses: [family === 4 ? `10.244.1.${index + 2}` : `fd00:10:244:1::${index + 2}`],
          nodeName: one('node1', 'node2'),
          conditions: { ready: random(4) > 0, serving: true, terminating: random(3) === 0 },
        })),
      });
    }
  }
  return { services, endpointSlices };
}

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
