import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { buildExecutable, type CniNode, createCniNode } from './support/cni-node.ts';

t.before(buildExecutable);

const peer = join(import.meta.dirname, 'support/echo-peer.ts');
const program = `${process.execPath} ${peer}`;

/** A node with a machine outside of it, which knows no way to the pods, and servers in its pods. */
interface Bed {
  readonly node: CniNode;
  /** ADD with these mappings and options, and a server named after the pod at TCP 80 and UDP 53. Returns the answer of ADD. */
  add(pod: string, portMappings?: object[], config?: object): ReturnType<CniNode['cni']>;
  del(pod: string): Promise<void>;
  /** What servers answer to `tcp/HOST/PORT`, asked from a pod, `node` or `outside`. */
  ask(from: string, ...targets: string[]): (string | null)[];
  exec(words: string, where: string): string;
}

const nodeAddress = '192.0.2.10';
const nodeAddress6 = '2001:db8::10';

function makeBed(t: Test, label: string): Bed {
  const node = createCniNode(label);
  const servers: ReturnType<typeof spawn>[] = [];
  t.teardown(async () => {
    for (const server of servers) {
      server.kill('SIGKILL');
      if (server.exitCode === null && server.signalCode === null) await once(server, 'exit');
    }
    node.close();
  });
  const outside = node.addPod('outside');
  node.exec(`ip link add name up0 type veth peer name up0 netns ${outside}`);
  for (const [where, address, address6] of [
    [undefined, nodeAddress, nodeAddress6],
    ['outside', '192.0.2.99', '2001:db8::99'],
  ] as const) {
    node.exec(`ip addr add ${address}/24 dev up0`, where);
    node.exec(`ip addr add ${address6}/64 dev up0 nodad`, where);
    node.exec('ip link set up0 up', where);
    node.exec('ip link set lo up', where);
  }
  node.exec('ip addr add 192.0.2.11/24 dev up0');
  const exec = (words: string, where: string): string => node.exec(words, where === 'node' ? undefined : where);
  const configOf = (portMappings: object[] = [], config: object = {}): object => ({ runtimeConfig: { portMappings }, ...config });
  return {
    node,
    exec,
    async add(pod, portMappings, config) {
      node.addPod(pod);
      const answer = await node.cni('ADD', pod, { config: configOf(portMappings, config) });
      if (answer.exitCode !== 0) return answer;
      const arguments_ = [`--net=${node.podPath(pod)}`, '--', process.execPath, peer, 'serve', pod, 'tcp/80', 'udp/53'];
      const server = spawn('nsenter', arguments_, { stdio: ['ignore', 'pipe', 'inherit'] });
      servers.push(server);
      await once(server.stdout!, 'data');
      return answer;
    },
    async del(pod) {
      const { exitCode, stdout } = await node.cni('DEL', pod);
      if (exitCode !== 0) throw new Error(stdout);
    },
    ask: (from, ...targets) => JSON.parse(exec(`${program} ask ${targets.join(' ')}`, from)) as (string | null)[],
  };
}

const table = 'nft list table inet podwire-net-podwire';

void t.test('host ports lead to the pod from outside, the node, its loopback addresses, the pod itself and its neighbours', async (t) => {
  const bed = makeBed(t, 'ports');
  const mappings = [
    { hostPort: 8080, containerPort: 80, protocol: 'tcp' },
    { hostPort: 5353, containerPort: 53, protocol: 'UDP' },
    { hostPort: 8081, containerPort: 80, protocol: 'tcp', hostIP: '192.0.2.11' },
    { hostPort: 9, containerPort: 9, protocol: 'sctp' },
  ];
  const a = await bed.add('a', mappings);
  t.equal(a.exitCode, 0, a.stdout);
  t.equal((await bed.add('b')).exitCode, 0);

  t.strictSame(
    bed.ask('outside', `tcp/${nodeAddress}/8080`, `udp/${nodeAddress}/5353`, `tcp/${nodeAddress6}/8080`, `udp/${nodeAddress6}/5353`),
    ['a 192.0.2.99', 'a 192.0.2.99', 'a 2001:db8::99', 'a 2001:db8::99'],
    'from outside, and the pod sees who asks',
  );
  t.strictSame(
    bed.ask('outside', 'tcp/192.0.2.11/8081', `tcp/${nodeAddress}/8081`),
    ['a 192.0.2.99', null],
    'hostIP: at that address only',
  );
  t.strictSame(
    bed.ask('node', `tcp/${nodeAddress}/8080`, 'tcp/127.0.0.1/8080', 'udp/127.0.0.1/5353', `tcp/${nodeAddress6}/8080`),
    [`a ${nodeAddress}`, 'a 10.244.1.1', 'a 10.244.1.1', `a ${nodeAddress6}`],
    'from the node, 127.0.0.1 included',
  );
  for (const pod of ['a', 'b']) {
    t.strictSame(
      bed.ask(pod, `tcp/${nodeAddress}/8080`, `udp/${nodeAddress}/5353`, `tcp/${nodeAddress6}/8080`),
      ['a 10.244.1.1', 'a 10.244.1.1', 'a fd00:10:244:1::1'],
      pod === 'a' ? 'from the pod itself' : 'from its neighbour',
    );
  }
  t.strictSame(bed.ask('b', 'tcp/10.244.1.2/80'), ['a 10.244.1.3'], 'straight to the pod nothing is masqueraded');

  const taken = await bed.add('c', [{ hostPort: 8080, containerPort: 80, protocol: 'tcp', hostIP: '192.0.2.11' }]);
  t.match(taken.json, { code: 106, msg: /host port 192\.0\.2\.11:8080\/tcp of pod default\/c .* is taken by pod default\/a / });
  t.equal(bed.node.files().filter((file) => file.includes('container-c')).length, 0, 'the pod that was refused holds nothing');

  bed.exec('ip route add 127.0.0.0/8 via 192.0.2.10', 'outside');
  bed.exec('ip addr flush dev lo', 'outside');
  t.strictSame(bed.ask('outside', 'tcp/127.0.0.1/8080'), [null], 'the loopback addresses of the node are not open to its links');

  await bed.del('a');
  t.notMatch(bed.exec(table, 'node'), 'elements', 'DEL leaves no port map');
  t.strictSame(bed.ask('outside', `tcp/${nodeAddress}/8080`), [null]);
  await bed.del('b');
  t.strictSame(bed.node.files(), [], 'and no claim');
  const gc = await bed.node.cni('GC', undefined, { config: { 'cni.dev/valid-attachments': [] } });
  t.equal(gc.exitCode, 0, gc.stdout);
  t.throws(() => bed.exec(table, 'node'), 'GC of a network without attachments leaves no table');
});

void t.test('a UDP client that goes on sending from one port reaches each new owner of the host port', async (t) => {
  const bed = makeBed(t, 'udp');
  const mapping = [{ hostPort: 5353, containerPort: 53, protocol: 'udp' }];
  const target = `udp/${nodeAddress}/5353/4444`;
  t.strictSame(bed.ask('outside', target), [null], 'nobody has it yet');
  t.equal((await bed.add('a', mapping)).exitCode, 0);
  t.strictSame(bed.ask('outside', target), ['a 192.0.2.99'], 'ADD makes the flow be looked up anew');
  await bed.del('a');
  t.equal((await bed.add('b', mapping)).exitCode, 0);
  t.strictSame(bed.ask('outside', target), ['b 192.0.2.99'], 'so does DEL');
});

void t.test('with ipMasq the world sees the address of the node, and neighbours see each other', async (t) => {
  const bed = makeBed(t, 'masq');
  const server = spawn('nsenter', [`--net=${bed.node.podPath('outside')}`, '--', process.execPath, peer, 'serve', 'world', 'tcp/80'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => void server.kill('SIGKILL'));
  await once(server.stdout, 'data');
  t.equal((await bed.add('a', [], { ipMasq: true })).exitCode, 0);
  t.equal((await bed.add('b', [], { ipMasq: true })).exitCode, 0);
  const wanted = [`world ${nodeAddress}`, `world ${nodeAddress6}`, 'b 10.244.1.2', 'b fd00:10:244:1::2'];
  const ask = () => bed.ask('a', 'tcp/192.0.2.99/80', 'tcp/2001:db8::99/80', 'tcp/10.244.1.3/80', 'tcp/fd00:10:244:1::3/80');
  let answers = ask();
  // The world's link has just come up; its first neighbour solicitation may be lost.
  for (let tries = 0; tries < 5 && JSON.stringify(answers) !== JSON.stringify(wanted); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 300));
    answers = ask();
  }
  t.strictSame(answers, wanted);
});

void t.test('of pods that are added at once each gets its host port; of ADDs that are killed GC leaves nothing', async (t) => {
  const bed = makeBed(t, 'many');
  const pods = Array.from({ length: 8 }, (_, index) => `p${index}`);
  const configOf = (pod: string): object => ({
    ipMasq: true,
    runtimeConfig: { portMappings: [{ hostPort: 9_000 + Number(pod.slice(1)), containerPort: 80, protocol: 'tcp' }] },
  });
  for (const pod of pods) bed.node.addPod(pod);
  const answers = await Promise.all(pods.map((pod) => bed.node.cni('ADD', pod, { config: configOf(pod) })));
  const listing = bed.exec(table, 'node');
  for (const [index, { exitCode, stdout, json }] of answers.entries()) {
    t.equal(exitCode, 0, stdout);
    t.match(listing, `${9_000 + index} : ${json.ips[0].address.split('/')[0]} . 80`);
  }
  await Promise.all(pods.map((pod) => bed.del(pod)));
  t.notMatch(bed.exec(table, 'node'), 'elements');
  for (const [index, pod] of pods.entries()) {
    const child = bed.node.start('ADD', pod, configOf(pod));
    const timer = setTimeout(() => child.kill('SIGKILL'), 60 + index * 40);
    await once(child, 'exit');
    clearTimeout(timer);
  }
  const gc = await bed.node.cni('GC', undefined, { config: { ipMasq: true, 'cni.dev/valid-attachments': [] } });
  t.equal(gc.exitCode, 0, gc.stdout);
  t.strictSame(bed.node.files(), [], 'no file');
  t.throws(() => bed.exec(table, 'node'), 'no table');
});

void t.test('bandwidth limits hold in either direction', async (t) => {
  const bed = makeBed(t, 'rate');
  const limits = { ingressRate: 8_000_000, ingressBurst: 160_000, egressRate: 4_000_000, egressBurst: 160_000 };
  const runtimeConfig = { bandwidth: limits };
  t.equal((await bed.add('a', [], { runtimeConfig })).exitCode, 0);
  t.equal((await bed.add('b')).exitCode, 0);
  const seconds = (from: string, host: string, bytes: number): number => Number(bed.exec(`${program} push ${host} 80 ${bytes}`, from));
  const [ingress, egress] = [seconds('b', '10.244.1.2', 600_000), seconds('a', '10.244.1.3', 300_000)];
  t.ok(ingress > 0.45 && ingress < 5, `600 kB at 8 Mbit/s take ${ingress} s`);
  t.ok(egress > 0.45 && egress < 5, `300 kB at 4 Mbit/s take ${egress} s`);
});

void t.test('CHECK names what is gone of masquerade, host ports and limits, and the repair it names works', async (t) => {
  const bed = makeBed(t, 'check');
  const config = {
    ipMasq: true,
    runtimeConfig: {
      portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
      bandwidth: { ingressRate: 8_000_000, ingressBurst: 160_000, egressRate: 8_000_000, egressBurst: 160_000 },
    },
  };
  const { json, exitCode, stdout } = await bed.add('a', [], config);
  t.equal(exitCode, 0, stdout);
  const link = json.interfaces[1].name as string;
  const check = () => bed.node.cni('CHECK', 'a', { config: { ...config, prevResult: json } });
  t.equal((await check()).stdout, '');
  const name = 'inet podwire-net-podwire';
  const tampering: [what: string, where: string, command: string, expected: RegExp][] = [
    [
      'masquerade rule flushed',
      'node',
      `nft flush chain ${name} leaving-4`,
      /the masquerade rule of network podwire is missing or changed/,
    ],
    [
      'whole table gone',
      'node',
      `nft delete table ${name}`,
      /the masquerade rule .*host port 8080\/tcp does not lead to 10\.244\.1\.2 port 80/,
    ],
    [
      'port map removed',
      'node',
      `nft delete element ${name} any-tcp-4 {8080}`,
      /host port 8080\/tcp does not lead to 10\.244\.1\.2 port 80/,
    ],
    ['lookup rules flushed', 'node', `nft flush chain ${name} prerouting`, /the rules that look up host ports are missing/],
    ['ingress qdisc removed', 'node', `tc qdisc del dev ${link} root`, new RegExp(`tbf qdisc\\) of ${link} in the node is gone`)],
    [
      'egress qdisc changed',
      'a',
      'tc qdisc replace dev eth0 root tbf rate 1gbit burst 20000 latency 25ms',
      /tbf qdisc\) of eth0 in the pod has a rate of 1000000000 bit\/s, not 8000000/,
    ],
    [
      'route_localnet off',
      'node',
      'sysctl -qw net.ipv4.conf.podwire0.route_localnet=0',
      /127\.0\.0\.1: route_localnet of podwire0 in the node is off/,
    ],
  ];
  for (const [what, where, command, expected] of tampering) {
    bed.exec(command, where);
    const found = await check();
    t.match(found.json, { code: 104, msg: expected }, what);
    const [, repair = ''] = /^repair: (.*)$/s.exec(found.json?.details ?? '') ?? [];
    execFileSync('nsenter', [`--net=${bed.node.namespace}`, 'sh', '-c', repair]);
    t.equal((await check()).stdout, '', `${what}: repaired`);
  }
});
