import { rmSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createCniAgentNode } from './support/cni-agent-node.ts';
import { buildExecutable, type CniNode, createCniNode } from './support/cni-node.ts';

t.before(buildExecutable);

function nodeOf(t: Test, label: string, ...pods: string[]): CniNode {
  const node = createCniNode(label);
  t.teardown(() => node.close());
  for (const pod of pods) node.addPod(pod);
  return node;
}

const pings = (node: CniNode, address: string, pod?: string): boolean => {
  try {
    return node.exec(`ping -c 1 -W 1 ${address}`, pod).includes('1 received');
  } catch {
    return false;
  }
};

void t.test('portIsolation: pods reach the node and not each other; promiscMode is on', async (t) => {
  const node = nodeOf(t, 'isolation', 'a', 'b');
  const config = { portIsolation: true, promiscMode: true, hairpinMode: false };
  const a = await node.cni('ADD', 'a', { config });
  t.equal(a.exitCode, 0, a.stdout);
  t.equal((await node.cni('ADD', 'b', { config })).exitCode, 0);
  t.ok(pings(node, '10.244.1.1', 'a'), 'the node');
  t.notOk(pings(node, '10.244.1.3', 'a'), 'not the other pod');
  t.match(node.exec('ip link show podwire0'), 'PROMISC');
  const check = () => node.cni('CHECK', 'a', { config: { ...config, prevResult: a.json } });
  t.equal((await check()).exitCode, 0);
  node.exec(`ip link set ${a.json.interfaces[1].name} type bridge_slave isolated off`);
  t.match((await check()).json, { code: 104, msg: /is not isolated/ });
});

void t.test('macspoofchk: a pod that takes another MAC is silent, and DEL leaves no rule of it', async (t) => {
  const node = nodeOf(t, 'spoof', 'a');
  const config = { macspoofchk: true };
  const a = await node.cni('ADD', 'a', { config });
  t.equal(a.exitCode, 0, a.stdout);
  t.ok(pings(node, '10.244.1.1', 'a'), 'with its own');
  t.equal((await node.cni('CHECK', 'a', { config: { ...config, prevResult: a.json } })).exitCode, 0);
  node.exec('ip link set eth0 address 02:00:00:00:00:99', 'a');
  t.notOk(pings(node, '10.244.1.1', 'a'), 'with another');
  node.exec(`ip link set eth0 address ${a.json.interfaces[2].mac}`, 'a');
  t.ok(pings(node, '10.244.1.1', 'a'), 'with its own again');
  node.exec('nft flush chain bridge podwire-source prerouting');
  t.match((await node.cni('CHECK', 'a', { config: { ...config, prevResult: a.json } })).json, {
    code: 104,
    msg: /macspoofchk: veth\w+ in the node may send from any MAC/,
  });
  t.equal((await node.cni('DEL', 'a', { config })).exitCode, 0);
  t.notMatch(node.exec('nft list table bridge podwire-source'), a.json.interfaces[1].name);
});

void t.test('a MAC and addresses that the runtime asks for; routes with all their details, and an explicit default route', async (t) => {
  const node = nodeOf(t, 'asked', 'a', 'b');
  const config = {
    runtimeConfig: { mac: '02:00:00:00:00:77', ips: ['10.244.1.77'] },
    ipam: {
      ...(node.config['ipam'] as object),
      routes: [
        { dst: '0.0.0.0/0', gw: '10.244.1.1', mtu: 1_300, advmss: 1_200, priority: 50 },
        { dst: '198.51.100.0/24', table: 100, priority: 7 },
        { dst: '203.0.113.0/24', scope: 253 },
        { dst: '2001:db8::/32', mtu: 1_280 },
      ],
    },
  };
  const a = await node.cni('ADD', 'a', { config });
  t.equal(a.exitCode, 0, a.stdout);
  t.match(a.json.ips[0].address, '10.244.1.77/24');
  t.match(node.exec('ip link show eth0', 'a'), '02:00:00:00:00:77');
  const routes = node.exec('ip route show table all', 'a');
  t.match(routes, /default via 10\.244\.1\.1 dev eth0 metric 50 mtu 1300 advmss 1200/);
  t.match(routes, /198\.51\.100\.0\/24 via 10\.244\.1\.1 dev eth0 table 100 metric 7/);
  t.match(routes, /203\.0\.113\.0\/24 dev eth0 scope link/);
  t.match(node.exec('ip -6 route', 'a'), /2001:db8::\/32 via fd00:10:244:1::1 dev eth0 .*mtu 1280/);
  t.ok(pings(node, '10.244.1.1', 'a'));
  const checked = await node.cni('CHECK', 'a', { config: { ...config, prevResult: a.json } });
  t.equal(checked.exitCode, 0, checked.stdout);
  t.match((await node.cni('ADD', 'b', { config })).json, { code: 108, msg: /10\.244\.1\.77 is taken by pod default\/a/ });
  t.equal(node.links().length, 2);
});

void t.test('several ranges of one family; forceAddress replaces what stands in the way', async (t) => {
  const node = nodeOf(t, 'ranges', 'a');
  node.exec('ip link add podwire0 type bridge');
  node.exec('ip address add 10.244.1.254/24 dev podwire0');
  const ipam = { ...(node.config['ipam'] as object), ranges: [[{ subnet: '10.244.1.0/24' }], [{ subnet: '10.244.2.0/24' }]] };
  t.match((await node.cni('ADD', 'a', { config: { ipam } })).json, { code: 102, msg: /podwire0 has 10\.244\.1\.254\/24/ });
  t.strictSame(node.files(), []);
  const a = await node.cni('ADD', 'a', { config: { ipam, forceAddress: true } });
  t.equal(a.exitCode, 0, a.stdout);
  t.match(
    a.json.ips.map(({ address }: { address: string }) => address),
    [/^10\.244\.1\.\d+\/24$/, /^10\.244\.2\.\d+\/24$/],
  );
  t.notMatch(node.exec('ip address show podwire0'), '10.244.1.254');
  t.ok(pings(node, '10.244.1.1', 'a') && pings(node, '10.244.2.1', 'a'));
});

void t.test('enabledad: the answer comes when the address may be used; a duplicate is an error', async (t) => {
  const node = nodeOf(t, 'dad', 'a', 'b');
  const config = { enabledad: true };
  const a = await node.cni('ADD', 'a', { config });
  t.equal(a.exitCode, 0, a.stdout);
  t.notMatch(node.exec('ip -6 addr show dev eth0 scope global', 'a'), 'tentative');
  t.ok(pings(node, 'fd00:10:244:1::1', 'a'));
  t.equal(node.links().length, 2);
  node.exec('ip address add fd00:10:244:1::3/64 dev eth0 nodad', 'a');
  t.match((await node.cni('ADD', 'b', { config })).json, { code: 102, msg: /enabledad: another host .* has fd00:10:244:1::3/ });
});

void t.test('the node agent does the same: mode ptp, another IPAM plugin, enabledad, macspoofchk', async (t) => {
  const node = createCniAgentNode('options-agent');
  t.teardown(() => node.close());
  await node.startAgent();
  node.exec('ip address add 192.0.2.1/32 dev lo');
  // What is done now, the agent does.
  rmSync(join(node.binDir, 'podwire-cni.standalone'));
  const ptp = { mode: 'ptp', bridge: undefined, isDefaultGateway: undefined, hairpinMode: undefined };
  const hostLocal = { type: 'host-local', dataDir: join(node.dataDir, 'theirs'), ranges: [[{ subnet: '10.9.0.0/24' }]] };
  const cases: [pod: string, config: object][] = [
    ['ptp', ptp],
    ['delegated', { ipam: hostLocal, dataDir: node.dataDir, bridge: 'podwire1' }],
    ['both', { ...ptp, ipam: hostLocal, dataDir: node.dataDir }],
    ['dad', { enabledad: true, macspoofchk: true }],
  ];
  for (const [pod, config] of cases) {
    const environment = { CNI_PATH: '/usr/lib/cni' };
    node.addPod(pod);
    const added = await node.cni('ADD', pod, { config, environment });
    t.equal(added.exitCode, 0, `${pod}: ${added.stdout}`);
    const [address] = added.json.ips.map((ip: { address: string }) => ip.address.split('/')[0]);
    t.ok(pings(node, address), `the node reaches ${pod}`);
    if (pod === 'dad') t.notMatch(node.exec('ip -6 addr show dev eth0 scope global', pod), 'tentative');
    const deleted = await node.cni('DEL', pod, { config, environment });
    t.equal(deleted.exitCode, 0, deleted.stdout);
  }
  t.strictSame(node.links().sort(), ['podwire0', 'podwire1']);
  t.strictSame(
    node.files().filter((file) => !/\/\.agent\/|\/(last_reserved_ip\.0|lock)$/.test(file)),
    [],
  );
});
