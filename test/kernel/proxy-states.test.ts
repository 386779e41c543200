import t from 'tap';
import { diffIptables, printRestore } from '../../src/dataplane/iptables-diff.ts';
import { diffNftTable } from '../../src/dataplane/nft-diff.ts';
import { printNftTransaction } from '../../src/dataplane/nft-print.ts';
import { inNetworkNamespace, systemRunner } from '../../src/kernel/command-runner.ts';
import {
  compileProxy,
  emptyIptables,
  nodeFacts,
  proxyOwner,
  type ProxyOptions,
  renderIptables,
  renderNftables,
  resolveProxyOptions,
} from '../../src/kube-proxy/index.ts';
import { randomObjects } from '../kube-proxy/random-objects.ts';

// A thousand random states for each tool. Many go into one process: nft takes them as tables of other names, and iptables-restore --test forgets each
// table at its COMMIT.

const name = `pws${process.pid}`;
const runner = inNetworkNamespace(systemRunner, `/run/netns/${name}`);
await systemRunner.run('ip', ['netns', 'add', name]);
t.teardown(() => systemRunner.run('ip', ['netns', 'del', name]));

const states = 1_000;
const perProcess = 20;

const optionsOf = (seed: number): ProxyOptions =>
  resolveProxyOptions({
    nodeName: 'node1',
    clusterCIDRs: ['10.244.0.0/16', 'fd00:10:244::/56'],
    serviceCIDRs: seed % 2 === 0 ? ['10.96.0.0/16', 'fd00:10:96::/112'] : [],
    nodePortAddresses: [[], ['192.168.88.0/24', 'fd00:88::/64'], ['127.0.0.0/8', '10.0.0.0/8', '::/0']][seed % 3]!,
    masqueradeAll: seed % 4 === 0,
    masqueradeBit: seed % 32,
    detectLocalMode: seed % 5 === 0 ? 'BridgeInterface' : seed % 7 === 0 ? 'InterfaceNamePrefix' : 'ClusterCIDR',
    podBridgeInterface: 'podwire0',
    podInterfaceNamePrefix: 'veth',
    iptablesDispatch: seed % 2 === 0 ? 'flat' : 'bucketed',
  });

const familyOf = (seed: number): 4 | 6 => (seed % 3 === 0 ? 6 : 4);

/** The seeds in lots of one process each. */
const lots = Array.from({ length: states / perProcess }, (_, lot) =>
  Array.from({ length: perProcess }, (_, at) => lot * perProcess + at + 1),
);

const modelOf = (seed: number) => compileProxy({ nodeName: 'node1', node: undefined, ...randomObjects(seed) }, familyOf(seed));

function nftText(seed: number): string {
  const family = familyOf(seed);
  const layout = seed % 2 === 0 ? 'fast' : 'compat';
  const table = renderNftables(modelOf(seed), nodeFacts('node1', undefined, family), optionsOf(seed), layout);
  return printNftTransaction(diffNftTable(undefined, { ...table, name: `state-${seed}` })!);
}

function restoreText(seed: number, family: 4 | 6): string {
  const options = optionsOf(seed);
  const model = compileProxy({ nodeName: 'node1', node: undefined, ...randomObjects(seed) }, family);
  const desired = renderIptables(model, nodeFacts('node1', undefined, family), options);
  return printRestore(diffIptables(emptyIptables(family), desired, proxyOwner(family, options))!);
}

t.test(`nft --check accepts ${states} random states`, async (t) => {
  for (const lot of lots) await runner.run('nft', ['--check', '--file', '-'], { input: lot.map(nftText).join(''), timeout: 60_000 });
  const bad = `${lots[0]!.map(nftText).join('')}add rule ip state-1 services jump nowhere\n`;
  await t.rejects(runner.run('nft', ['--check', '--file', '-'], { input: bad }), /nowhere/, 'one that is wrong is found among many');
  const { stdout } = await runner.run('nft', ['list', 'tables']);
  t.equal(stdout, '', 'nothing is done');
});

for (const variant of ['nft', 'legacy'] as const) {
  t.test(`iptables-${variant}-restore --test accepts ${states} random states`, async (t) => {
    const test = (family: 4 | 6, input: string) =>
      runner.run(`${family === 4 ? 'iptables' : 'ip6tables'}-${variant}-restore`, ['-w', '5', '--noflush', '--test'], {
        input,
        timeout: 60_000,
      });
    for (const [index, lot] of lots.entries()) {
      const family = index % 3 === 0 ? 6 : 4;
      await test(family, lot.map((seed) => restoreText(seed, family)).join(''));
    }
    // The nf_tables variant leaves to the kernel what it is asked not to send: whether a chain is there.
    const bad = `${restoreText(1, 4)}*nat\n-A PREROUTING -p tcp --dport nonsense -j RETURN\nCOMMIT\n`;
    await t.rejects(test(4, bad), 'one that is wrong is found among many');
    const { stdout } = await runner.run(`iptables-${variant}-save`, []);
    t.notMatch(stdout, 'KUBE-SVC', 'nothing is done');
  });
}
