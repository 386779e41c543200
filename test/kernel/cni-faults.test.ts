import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { buildExecutable, type CniNode, createCniNode } from './support/cni-node.ts';

t.before(buildExecutable);

/** Nothing of any pod is left: no link but the bridge, no reservation. */
function clean(t: Pick<Test, 'strictSame'>, node: CniNode): void {
  t.strictSame(
    node.links().filter((name) => name !== 'podwire0'),
    [],
    'no link is left',
  );
  t.strictSame(node.files(), [], 'no reservation is left');
}

void t.test('CHECK names each tampering and its repair', async (t) => {
  const node = createCniNode('check');
  t.teardown(() => node.close());
  node.addPod('a');
  const { json } = await node.cni('ADD', 'a');
  const host = json.interfaces[1].name as string;
  const check = () => node.cni('CHECK', 'a', { config: { prevResult: json } });
  const tamper: [name: string, inPod: boolean, command: string, undo: string, expected: RegExp][] = [
    ['host veth down', false, `ip link set ${host} down`, `ip link set ${host} up`, /link veth\w+ in the node is down/],
    ['bridge down', false, 'ip link set podwire0 down', 'ip link set podwire0 up', /link podwire0 in the node is down/],
    ['pod MTU', true, 'ip link set eth0 mtu 1400', 'ip link set eth0 mtu 1500', /mtu of eth0 in the pod is 1400, not 1500/],
    [
      'MAC',
      true,
      'ip link set eth0 address 02:00:00:00:00:01',
      'ip link set eth0 address 0a:58:0a:f4:01:02',
      /mac of eth0 in the pod is 02:00:00:00:00:01, not 0a:58:0a:f4:01:02/,
    ],
    [
      'IPv4 route',
      true,
      'ip route del default',
      'ip route add default via 10.244.1.1',
      /route default \(IPv4\) via 10\.244\.1\.1 dev eth0 is missing in the pod/,
    ],
    [
      'IPv6 route',
      true,
      'ip -6 route del default',
      'ip -6 route add default via fd00:10:244:1::1',
      /route default \(IPv6\) via fd00:10:244:1::1 dev eth0 is missing/,
    ],
    [
      'IPv6 address',
      true,
      'ip addr del fd00:10:244:1::2/64 dev eth0',
      'ip addr add fd00:10:244:1::2/64 dev eth0 nodad',
      /address fd00:10:244:1::2\/64 is missing on eth0/,
    ],
    [
      'hairpin',
      false,
      `ip link set ${host} type bridge_slave hairpin off`,
      `ip link set ${host} type bridge_slave hairpin on`,
      /hairpin mode of veth\w+ in the node is off/,
    ],
    [
      'bridge address',
      false,
      'ip addr del 10.244.1.1/24 dev podwire0',
      'ip addr add 10.244.1.1/24 dev podwire0',
      /address 10\.244\.1\.1\/24 is missing on podwire0/,
    ],
    [
      'off the bridge',
      false,
      `ip link set ${host} nomaster`,
      `ip link set ${host} master podwire0`,
      /master of veth\w+ in the node is none, not podwire0/,
    ],
    ['forwarding', false, 'sysctl -qw net.ipv4.ip_forward=0', 'sysctl -qw net.ipv4.ip_forward=1', /the node does not forward IPv4/],
  ];
  t.equal((await check()).exitCode, 0, 'untouched');
  for (const [name, inPod, command, undo, expected] of tamper) {
    node.exec(command, inPod ? 'a' : undefined);
    const { json: error } = await check();
    t.match(error, { code: 104, msg: expected, details: /^repair: / }, name);
    node.exec(undo, inPod ? 'a' : undefined);
    if (name === 'IPv6 address' || name === 'bridge down' || name === 'off the bridge')
      node.exec(`ip link set ${host} type bridge_slave hairpin on`);
    // What the kernel takes along: routes by a removed address, IPv6 addresses of a link that was down.
    if (name === 'bridge down') node.exec('ip addr replace fd00:10:244:1::1/64 dev podwire0 nodad');
  }
  t.equal((await check()).exitCode, 0, 'repaired by the repairs named');
  node.exec('ip link del eth0', 'a');
  t.match((await check()).json, { code: 104, msg: /link eth0 is missing in the pod/ });
  await node.cni('DEL', 'a');
  t.match((await check()).json, { code: 104, msg: /no reservation for container container-a eth0/ });
});

void t.test('50 pods added in parallel, more processes than addresses in a row are free, have 50 addresses of each family', async (t) => {
  const node = createCniNode('parallel');
  t.teardown(() => node.close());
  const pods = Array.from({ length: 50 }, (_, index) => `p${index}`);
  for (const pod of pods) node.addPod(pod);
  const answers = await Promise.all(pods.map((pod) => node.cni('ADD', pod)));
  t.strictSame(
    answers.filter(({ exitCode }) => exitCode !== 0).map(({ stdout }) => stdout),
    [],
    'every ADD succeeds',
  );
  for (const family of [0, 1]) t.equal(new Set(answers.map(({ json }) => json.ips[family].address)).size, 50, 'no duplicate');
  t.equal(new Set(answers.map(({ json }) => json.interfaces[1].name)).size, 50);
  await Promise.all(pods.map((pod) => node.cni('DEL', pod)));
  clean(t, node);
});

void t.test('an ADD that fails midway leaves neither address nor link', async (t) => {
  const node = createCniNode('midway');
  t.teardown(() => node.close());
  node.addPod('a');
  // A gateway that no address of the pod is on the link with: the last step, the route, is refused.
  const config = { ipam: { ...(node.config['ipam'] as object), routes: [{ dst: '192.0.2.0/24', gw: '198.51.100.1' }] } };
  const failed = await node.cni('ADD', 'a', { config });
  t.match(failed.json, { code: 102, msg: /ensure-route in .*: .*[Gg]ateway|unreachable/ });
  clean(t, node);
  node.exec('ip link add eth0 type bridge', 'a');
  t.match((await node.cni('ADD', 'a')).json, { code: 101, msg: /CNI_IFNAME=eth0 exists in/ });
  t.equal(node.exec('ip -brief link show eth0', 'a').includes('eth0'), true, 'a foreign link is left alone');
  clean(t, node);
  node.exec('ip link del eth0', 'a');
  node.exec('ip link del podwire0');
  node.exec('ip link add podwire0 type veth peer name other');
  t.match((await node.cni('ADD', 'a')).json, { code: 102, msg: 'bridge: podwire0 exists and is a veth' });
  t.strictSame(node.files(), []);
});

void t.test('a second ADD takes over what is half done, and refuses what is complete', async (t) => {
  const node = createCniNode('again');
  t.teardown(() => node.close());
  node.addPod('a');
  const first = await node.cni('ADD', 'a');
  const again = await node.cni('ADD', 'a');
  t.match(again.json, { code: 101, msg: /eth0 of container container-a \(pod default\/a\) is attached already/ });
  t.match(node.exec('ping -c 1 -W 1 10.244.1.1', 'a'), '1 received', 'which goes on working');
  node.exec('ip addr flush dev eth0', 'a');
  node.exec('ip link set eth0 down', 'a');
  const over = await node.cni('ADD', 'a');
  t.strictSame(over.json, first.json, 'the same addresses again');
  t.match(node.exec('ping -c 1 -W 1 10.244.1.1', 'a'), '1 received');
  await node.cni('DEL', 'a');
  clean(t, node);
});

void t.test('kill -9 at any moment of an ADD, then DEL, leaves nothing; or ADD again works', async (t) => {
  const node = createCniNode('kill');
  t.teardown(() => node.close());
  node.addPod('a');
  const exits = { killed: 0, done: 0 };
  // The start of the executable takes some 30 ms, the work of ADD some 10 more.
  for (let round = 0; round < 30; round++) {
    const child = node.start('ADD', 'a');
    const exit = once(child, 'exit') as Promise<[number | null, string | null]>;
    await sleep(15 + round * 2);
    child.kill('SIGKILL');
    const [, signal] = await exit;
    exits[signal ? 'killed' : 'done']++;
    if (round % 3 === 2) {
      const again = await node.cni('ADD', 'a');
      // Killed after its last step and before its answer, it is complete: then a second ADD is refused.
      t.ok(again.exitCode === 0 || again.json.code === 101, `round ${round}: ${again.stdout}`);
      t.match(node.exec('ping -c 1 -W 1 10.244.1.1', 'a'), '1 received');
    }
    t.equal((await node.cni('DEL', 'a')).exitCode, 0);
    clean(t, node);
  }
  t.comment(JSON.stringify(exits));
  t.ok(exits.killed > 0, 'some were killed');
});

void t.test('a DEL during an ADD ends with nothing left, whichever is first', async (t) => {
  const node = createCniNode('race');
  t.teardown(() => node.close());
  node.addPod('a');
  for (let round = 0; round < 12; round++) {
    const adding = node.cni('ADD', 'a');
    await sleep(round * 4);
    await node.cni('DEL', 'a');
    const { exitCode, json } = await adding;
    // The ADD may have begun after the DEL had ended.
    t.ok(exitCode === 0 || json.code >= 100 || json.code === 5, JSON.stringify(json));
    const left = node.links().filter((name) => name !== 'podwire0').length;
    t.equal(node.files().length > 0, left > 0, `round ${round}: a link is left if and only if its reservation is`);
    await node.cni('DEL', 'a');
    clean(t, node);
  }
});

void t.test('GC removes what is not valid and nothing else', async (t) => {
  const node = createCniNode('gc');
  t.teardown(() => node.close());
  for (const pod of ['a', 'b', 'c']) {
    node.addPod(pod);
    await node.cni('ADD', pod);
  }
  node.removePod('b');
  const config = { 'cni.dev/valid-attachments': [{ containerID: 'container-c', ifname: 'eth0' }] };
  t.equal((await node.cni('GC', undefined, { config })).exitCode, 0);
  t.match(node.exec('ping -c 1 -W 1 10.244.1.1', 'c'), '1 received', 'the valid one works');
  t.equal(node.links().length, 2, 'the bridge and one pod');
  t.equal(node.files().length, 3, 'one reservation: owner and two addresses');
});
