import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import t from 'tap';
import { buildExecutable, createCniNode, executable } from './support/cni-node.ts';

const root = resolve(import.meta.dirname, '../..');

t.before(buildExecutable);

void t.test('two pods reach each other and the node in both families at once, by one bridge', async (t) => {
  const node = createCniNode('ping');
  t.teardown(() => node.close());
  const netns = node.addPod('a');
  node.addPod('b');
  const a = await node.cni('ADD', 'a');
  const b = await node.cni('ADD', 'b');
  t.equal(a.exitCode, 0, a.stdout);
  t.equal(b.exitCode, 0, b.stdout);
  const show = node.exec('ip -json link show podwire0');
  t.strictSame(a.json, {
    cniVersion: '1.1.0',
    interfaces: [
      { name: 'podwire0', mac: JSON.parse(show)[0].address, mtu: 1500 },
      { name: a.json.interfaces[1].name, mac: '0e:58:0a:f4:01:02', mtu: 1500 },
      { name: 'eth0', mac: '0a:58:0a:f4:01:02', mtu: 1500, sandbox: netns },
    ],
    ips: [
      { interface: 2, address: '10.244.1.2/24', gateway: '10.244.1.1' },
      { interface: 2, address: 'fd00:10:244:1::2/64', gateway: 'fd00:10:244:1::1' },
    ],
    routes: [
      { dst: '0.0.0.0/0', gw: '10.244.1.1' },
      { dst: '::/0', gw: 'fd00:10:244:1::1' },
    ],
    dns: {},
  });
  t.match(node.links(), ['podwire0', a.json.interfaces[1].name, b.json.interfaces[1].name]);
  t.equal(JSON.parse(node.exec(`ip -json link show ${a.json.interfaces[1].name}`))[0].ifalias, 'default/a', 'the link tells whose it is');
  t.equal(JSON.parse(node.exec(`ip -json -details link show ${a.json.interfaces[1].name}`))[0].linkinfo.info_slave_data.hairpin, true);
  for (const address of ['10.244.1.3', 'fd00:10:244:1::3', '10.244.1.1', 'fd00:10:244:1::1']) {
    t.match(node.exec(`ping -c 1 -W 1 ${address}`, 'a'), '1 received', `pod a reaches ${address}`);
  }
  for (const address of ['10.244.1.2', 'fd00:10:244:1::2'])
    t.match(node.exec(`ping -c 1 -W 1 ${address}`), '1 received', `the node reaches ${address}`);
  t.notMatch(node.exec('ip -6 addr show dev eth0 scope global', 'a'), 'tentative', 'no wait for duplicate address detection');
  t.equal((await node.cni('CHECK', 'a', { config: { prevResult: a.json } })).exitCode, 0);
});

void t.test('DEL leaves nothing of a pod, may be repeated, and needs no namespace', async (t) => {
  const node = createCniNode('del');
  t.teardown(() => node.close());
  for (const pod of ['a', 'b', 'c']) {
    node.addPod(pod);
    t.equal((await node.cni('ADD', pod)).exitCode, 0);
  }
  const del = await node.cni('DEL', 'a');
  t.strictSame([del.exitCode, del.stdout], [0, '']);
  t.equal((await node.cni('DEL', 'a')).exitCode, 0, 'again');
  t.throws(() => node.exec('ip link show eth0', 'a'), 'the pod has no link');
  node.removePod('b');
  t.equal((await node.cni('DEL', 'b')).exitCode, 0, 'with the namespace gone');
  t.equal((await node.cni('DEL', 'c', { environment: { CNI_NETNS: '' } })).exitCode, 0, 'with CNI_NETNS empty');
  t.equal((await node.cni('DEL', 'never-was')).exitCode, 0, 'of a container never added');
  t.strictSame(node.links(), ['podwire0'], 'no link is left but the bridge');
  t.strictSame(node.files(), [], 'no reservation is left');
  t.equal(node.exec('ip neigh show dev podwire0').trim(), '', 'no neighbour is left');
});

void t.test('a released address rests, and when it is reused it answers its first ping within 50 ms', async (t) => {
  const node = createCniNode('reuse');
  t.teardown(() => node.close());
  const config = {
    ipam: { type: 'podwire-ipam', dataDir: node.dataDir, ranges: [[{ subnet: '10.244.1.0/29' }], [{ subnet: 'fd00:10:244:1::/64' }]] },
  };
  for (const pod of ['peer', 'p2', 'p3', 'p4', 'p5', 'p6', 'p7']) node.addPod(pod);
  const addressOf = async (pod: string): Promise<string[]> => {
    const answer = await node.cni('ADD', pod, { config });
    return answer.json.ips.map((ip: { address: string }) => ip.address.split('/')[0]);
  };
  t.strictSame(await addressOf('peer'), ['10.244.1.2', 'fd00:10:244:1::2']);
  t.strictSame(await addressOf('p2'), ['10.244.1.3', 'fd00:10:244:1::3']);
  node.exec('ping -c 1 -W 1 10.244.1.3', 'peer');
  node.exec('ping -c 1 -W 1 fd00:10:244:1::3', 'peer');
  await node.cni('DEL', 'p2', { config });
  t.strictSame(await addressOf('p3'), ['10.244.1.4', 'fd00:10:244:1::4']);
  t.strictSame(await addressOf('p4'), ['10.244.1.5', 'fd00:10:244:1::5']);
  t.strictSame(await addressOf('p5'), ['10.244.1.6', 'fd00:10:244:1::6']);
  t.strictSame(await addressOf('p6'), ['10.244.1.3', 'fd00:10:244:1::3'], 'reused only after all others');
  for (const address of ['10.244.1.3', 'fd00:10:244:1::3']) {
    const time = Number(/time=([\d.]+) ms/.exec(node.exec(`ping -c 1 -W 1 ${address}`, 'peer'))?.[1]);
    t.ok(time < 50, `${address} answered in ${time} ms`);
  }
  const exhausted = await node.cni('ADD', 'p7', { config });
  t.match(exhausted.json, { code: 103, msg: /no free address left in 10\.244\.1\.1-10\.244\.1\.6 of 10\.244\.1\.0\/29/ });
  t.match((await node.cni('STATUS', undefined, { config })).json, { code: 50 });
  t.equal(node.files().filter((file) => file.includes('p7')).length, 0, 'a pod that got no address holds none of the other family');
});

void t.test('the executable needs no Node and no other file', async (t) => {
  const node = createCniNode('alone');
  const folder = mkdtempSync(join(tmpdir(), 'podwire-alone-'));
  t.teardown(() => {
    node.close();
    rmSync(folder, { recursive: true, force: true });
  });
  node.addPod('a');
  copyFileSync(executable, join(folder, 'podwire-cni'));
  // In a mount namespace of its own, with the checkout and every Node of the machine hidden.
  const script = `
    mount -t tmpfs none "$1"
    for node in /usr/bin/node /usr/local/bin/node; do [ ! -e "$node" ] || mount --bind /dev/null "$node"; done
    if node --version 2>/dev/null; then echo 'a Node is left' >&2; exit 9; fi
    exec nsenter --net="$2" -- "$3"`;
  const result = spawnSync('unshare', ['--mount', '--', 'sh', '-c', script, 'sh', root, node.namespace, join(folder, 'podwire-cni')], {
    input: JSON.stringify(node.config),
    env: {
      PATH: '/usr/sbin:/sbin:/usr/bin:/bin',
      CNI_COMMAND: 'ADD',
      CNI_CONTAINERID: 'x',
      CNI_NETNS: node.podPath('a'),
      CNI_IFNAME: 'net1',
      NODE_OPTIONS: '--no-such-option',
    },
    encoding: 'utf8',
  });
  t.equal(result.status, 0, result.stdout + result.stderr);
  t.match(JSON.parse(result.stdout), { ips: [{ address: '10.244.1.2/24' }, { address: 'fd00:10:244:1::2/64' }] });
  t.match(node.exec('ping -c 1 -W 1 10.244.1.1', 'a'), '1 received');
});
