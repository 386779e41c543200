import { mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { createCniChain, referencePlugins } from './support/cni-chain.ts';
import { buildExecutable, type CniNode, createCniNode, executable } from './support/cni-node.ts';

t.before(buildExecutable);

/** A node, and a folder in which our executable also has the name of an IPAM plugin. */
function nodeWithPlugins(t: Test, label: string): { node: CniNode; folders: string[] } {
  const node = createCniNode(label);
  const folder = mkdtempSync(join(tmpdir(), `pwcni-bin-${process.pid}-`));
  symlinkSync(executable, join(folder, 'podwire-ipam'));
  t.teardown(() => {
    node.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return { node, folders: [dirname(executable), folder, referencePlugins] };
}

const podOf = (node: CniNode, name: string) => ({ containerId: `container-${name}`, netns: node.addPod(name) });
const pings = (node: CniNode, address: string, pod?: string): boolean => {
  try {
    return node.exec(`ping -c 1 -W 1 ${address}`, pod).includes('1 received');
  } catch {
    return false;
  }
};

for (const cniVersion of ['0.3.0', '0.3.1', '0.4.0', '1.0.0']) {
  void t.test(`${cniVersion}: between the reference's loopback and its portmap, bandwidth, firewall and tuning`, async (t) => {
    const { node, folders } = nodeWithPlugins(t, `chain${cniVersion}`);
    const chain = createCniChain(node.namespace, folders, {
      cniVersion,
      name: 'podwire',
      plugins: [
        { type: 'loopback' },
        { ...node.config, type: 'podwire-cni' },
        { type: 'portmap', snat: true, runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] } },
        { type: 'bandwidth', ingressRate: 8_000_000, ingressBurst: 800_000 },
        // The reference's firewall has no version before 0.4.0.
        ...(cniVersion < '0.4.0' ? [] : [{ type: 'firewall', backend: 'iptables' }]),
        { type: 'tuning', sysctl: { 'net.ipv4.conf.all.arp_filter': '1' }, promisc: true },
      ],
    });
    const [a, b] = [podOf(node, 'a'), podOf(node, 'b')];
    const before = node.links();
    const added = await chain.add(a);
    t.equal(added.exitCode, 0, added.text);
    t.equal((await chain.add(b)).exitCode, 0);
    t.equal(added.json.cniVersion, cniVersion);
    t.match(
      added.json.interfaces.map(({ name }: { name: string }) => name),
      ['lo', 'podwire0', /^veth/, 'eth0'],
    );
    const own = added.json.ips.filter((ip: { interface?: number }) => ip.interface === 3);
    t.strictSame(
      own.map(({ address }: { address: string }) => address),
      ['10.244.1.2/24', 'fd00:10:244:1::2/64'],
    );
    t.ok(pings(node, '10.244.1.3', 'a'), 'the pods reach each other');
    t.match(node.exec('tc qdisc show'), 'tbf', 'the limit is there');
    t.match(node.exec('iptables-save -t nat'), '8080', 'the port map is there');
    t.match(node.exec('ip link show eth0', 'a'), 'PROMISC', 'the link is tuned');
    if (cniVersion >= '0.4.0') {
      // The CHECK of the reference's portmap 1.1.1 looks for the IPv4 rules among the IPv6 ones when a pod has both families.
      const checked = await chain.check(a, ['portmap']);
      t.equal(checked.exitCode, 0, checked.text);
    }
    for (const pod of [a, b]) {
      const deleted = await chain.del(pod);
      t.equal(deleted.exitCode, 0, deleted.text);
    }
    t.strictSame(
      node.links().filter((name) => !before.includes(name)),
      ['podwire0'],
    );
    t.strictSame(node.files(), []);
  });
}

for (const cniVersion of ['0.4.0', '1.1.0']) {
  void t.test(`${cniVersion}: with the reference's host-local as IPAM plugin`, async (t) => {
    const { node, folders } = nodeWithPlugins(t, `host-local${cniVersion}`);
    const theirs = join(node.dataDir, 'host-local');
    const ipam = { type: 'host-local', dataDir: theirs, ranges: [[{ subnet: '10.9.0.0/29' }], [{ subnet: 'fd00:9::/64' }]] };
    const plugins = [{ ...node.config, type: 'podwire-cni', dataDir: join(node.dataDir, 'ours'), ipam }];
    const chain = createCniChain(node.namespace, folders, { cniVersion, name: 'net', plugins });
    const [a, b] = [podOf(node, 'a'), podOf(node, 'b')];
    const added = await chain.add(a);
    t.equal(added.exitCode, 0, added.text);
    t.match(added.json, { cniVersion, ips: [{ address: '10.9.0.2/29', gateway: '10.9.0.1' }, { address: 'fd00:9::2/64' }] });
    t.equal((await chain.add(b)).exitCode, 0);
    t.ok(pings(node, '10.9.0.3', 'a') && pings(node, 'fd00:9::3', 'a') && pings(node, '10.9.0.1', 'a'), 'pods and node reach each other');
    t.match(readdirSync(join(theirs, 'net')), ['10.9.0.2', '10.9.0.3']);
    const checked = await chain.check(a);
    t.equal(checked.exitCode, 0, checked.text);
    if (cniVersion === '1.1.0') {
      t.equal((await chain.status()).exitCode, 0);
      t.equal((await chain.gc([b])).exitCode, 0);
      t.notOk(readdirSync(join(theirs, 'net')).includes('10.9.0.2'), 'GC gives the address back to host-local');
    }
    for (const pod of [a, b, a]) {
      const deleted = await chain.del(pod);
      t.equal(deleted.exitCode, 0, deleted.text);
    }
    t.notMatch(readdirSync(join(theirs, 'net')).join(' '), '10.9.0', 'host-local holds nothing');
    t.strictSame(node.links(), ['podwire0']);
  });
}

const interfacePlugins: [type: string, config: object, versions: readonly string[]][] = [
  ['bridge', { bridge: 'cni0', isGateway: true }, ['0.3.0', '0.3.1', '0.4.0', '1.0.0']],
  ['ptp', {}, ['1.0.0']],
  ['macvlan', { master: 'trunk0', mode: 'bridge' }, ['1.0.0']],
];
for (const [type, config, versions] of interfacePlugins) {
  void t.test(`our address manager under the reference's ${type}`, async (t) => {
    const { node, folders } = nodeWithPlugins(t, `ipam-${type}`);
    node.exec('ip link add trunk0 type veth peer name trunk1');
    for (const end of ['trunk0', 'trunk1']) node.exec(`ip link set ${end} up`);
    const ipam = { type: 'podwire-ipam', dataDir: node.dataDir, ranges: [[{ subnet: '10.8.0.0/29' }]], routes: [{ dst: '0.0.0.0/0' }] };
    for (const cniVersion of versions) {
      const chain = createCniChain(node.namespace, folders, { cniVersion, name: 'theirs', plugins: [{ type, ...config, ipam }] });
      const [a, b] = [podOf(node, `a${cniVersion}`), podOf(node, `b${cniVersion}`)];
      const added = await chain.add(a);
      t.equal(added.exitCode, 0, added.text);
      t.match(added.json.ips[0], { address: /^10\.8\.0\.[2-6]\/29$/, gateway: '10.8.0.1' });
      const other = await chain.add(b);
      t.equal(other.exitCode, 0, other.text);
      if (type !== 'ptp') t.ok(pings(node, other.json.ips[0].address.split('/')[0], `a${cniVersion}`), 'the pods reach each other');
      t.equal(node.files().length, 4, 'two reservations, each with its address');
      if (cniVersion >= '0.4.0') {
        const checked = await chain.check(a);
        t.equal(checked.exitCode, 0, checked.text);
      }
      for (const pod of [a, b]) t.equal((await chain.del(pod)).exitCode, 0);
      t.strictSame(node.files(), []);
    }
  });
}

void t.test('mode ptp: pods and node reach each other by routes, in both families, and DEL takes them back', async (t) => {
  const { node } = nodeWithPlugins(t, 'ptp');
  const config = { mode: 'ptp', bridge: undefined, isDefaultGateway: undefined, hairpinMode: undefined };
  for (const pod of ['a', 'b']) node.addPod(pod);
  node.exec('ip link add out0 type veth peer name out1');
  node.exec('ip address add 192.0.2.1/24 dev out0');
  node.exec('ip link set out0 up');
  const a = await node.cni('ADD', 'a', { config });
  const b = await node.cni('ADD', 'b', { config });
  t.equal(a.exitCode, 0, a.stdout);
  t.equal(b.exitCode, 0, b.stdout);
  t.match(a.json.ips, [
    { address: '10.244.1.2/32', gateway: '169.254.1.1' },
    { address: 'fd00:10:244:1::2/128', gateway: 'fe80::1' },
  ]);
  for (const address of ['10.244.1.3', 'fd00:10:244:1::3', '192.0.2.1']) t.ok(pings(node, address, 'a'), `pod a reaches ${address}`);
  t.ok(pings(node, '10.244.1.2'), 'the node reaches the pod');
  t.match(node.exec('ip route get 10.244.1.2'), 'src 192.0.2.1', 'the node speaks from its own address');
  t.match(node.exec('ip neigh show dev eth0', 'a'), /169\.254\.1\.1 lladdr .* PERMANENT/);
  const check = (): ReturnType<CniNode['cni']> => node.cni('CHECK', 'a', { config: { ...config, prevResult: a.json } });
  const checked = await check();
  t.equal(checked.exitCode, 0, checked.stdout);
  node.exec('ip route delete 10.244.1.2');
  t.match((await check()).json, { code: 104, msg: /route 10\.244\.1\.2\/32 .*is missing in the node/ });
  for (const pod of ['a', 'b', 'a']) t.equal((await node.cni('DEL', pod, { config })).exitCode, 0);
  t.strictSame(node.links().sort(), ['out0', 'out1']);
  t.notMatch(node.exec('ip route') + node.exec('ip -6 route'), /10\.244|fd00:10/);
  t.strictSame(node.files(), []);
});
