import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import t, { type Test } from 'tap';
import { buildExecutable, type CniNode, createCniNode } from './support/cni-node.ts';

t.before(buildExecutable);

/** What somebody does behind the plugin's back, in the node or in the pod, and what CHECK says of it. */
interface Tampering {
  readonly name: string;
  /** `POD: ` before a command: in the pod. HOST is the node's end of its link. */
  readonly commands: readonly string[];
  readonly problem: RegExp;
}

const extras = {
  ipMasq: true,
  runtimeConfig: {
    portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
    bandwidth: { ingressRate: 8_000_000, ingressBurst: 160_000, egressRate: 8_000_000, egressBurst: 160_000 },
  },
};
const natTable = 'inet podwire-net-podwire';

/** The same in both modes. */
const common: readonly Tampering[] = [
  { name: 'host veth down', commands: ['ip link set HOST down'], problem: /link HOST in the node is down/ },
  { name: 'pod link down', commands: ['POD: ip link set eth0 down'], problem: /link eth0 in the pod is down/ },
  { name: 'host MTU changed', commands: ['ip link set HOST mtu 1400'], problem: /mtu of HOST in the node is 1400, not 1500/ },
  { name: 'pod MTU changed', commands: ['POD: ip link set eth0 mtu 1400'], problem: /mtu of eth0 in the pod is 1400, not 1500/ },
  {
    name: 'wrong MAC',
    commands: ['POD: ip link set eth0 address 02:00:00:00:00:01'],
    problem: /mac of eth0 in the pod is 02:00:00:00:00:01, not 0a:58:0a:f4:01:02/,
  },
  {
    name: 'IPv4 route removed',
    commands: ['POD: ip route del default'],
    problem: /route default \(IPv4\) via [\d.]+ dev eth0 is missing in the pod/,
  },
  {
    name: 'IPv6 route removed',
    commands: ['POD: ip -6 route del default'],
    problem: /route default \(IPv6\) via \S+ dev eth0 is missing in the pod/,
  },
  {
    name: 'masquerade rule flushed',
    commands: [`nft flush chain ${natTable} leaving-4`],
    problem: /the masquerade rule of network podwire is missing or changed/,
  },
  {
    name: 'port map removed',
    commands: [`nft delete element ${natTable} any-tcp-4 {8080}`],
    problem: /host port 8080\/tcp does not lead to 10\.244\.1\.2 port 80/,
  },
  { name: 'ip_forward off', commands: ['sysctl -qw net.ipv4.ip_forward=0'], problem: /the node does not forward IPv4/ },
  { name: 'IPv6 forwarding off', commands: ['sysctl -qw net.ipv6.conf.all.forwarding=0'], problem: /the node does not forward IPv6/ },
  { name: 'qdisc of the node removed', commands: ['tc qdisc del dev HOST root'], problem: /tbf qdisc\) of HOST in the node is gone/ },
  { name: 'qdisc of the pod removed', commands: ['POD: tc qdisc del dev eth0 root'], problem: /tbf qdisc\) of eth0 in the pod is gone/ },
];

const ofBridge: readonly Tampering[] = [
  {
    name: 'everything at once',
    commands: ['ip link set podwire0 down', 'ip link set HOST down nomaster', 'POD: ip link set eth0 down', 'POD: ip addr flush dev eth0'],
    problem: /link podwire0 in the node is down.*link HOST in the node is down.*link eth0 in the pod is down/,
  },
  {
    name: 'IPv4 address removed',
    commands: ['POD: ip addr del 10.244.1.2/24 dev eth0'],
    problem: /address 10\.244\.1\.2\/24 is missing on eth0 in the pod/,
  },
  {
    name: 'IPv6 address removed',
    commands: ['POD: ip addr del fd00:10:244:1::2/64 dev eth0'],
    problem: /address fd00:10:244:1::2\/64 is missing on eth0 in the pod/,
  },
  { name: 'bridge down', commands: ['ip link set podwire0 down'], problem: /link podwire0 in the node is down/ },
  { name: 'hairpin off', commands: ['ip link set HOST type bridge_slave hairpin off'], problem: /hairpin mode of HOST in the node is off/ },
  {
    name: 'bridge addresses removed',
    commands: ['ip addr flush dev podwire0'],
    problem: /address 10\.244\.1\.1\/24 is missing on podwire0 .*address fd00:10:244:1::1\/64 is missing on podwire0/,
  },
  { name: 'off the bridge', commands: ['ip link set HOST nomaster'], problem: /master of HOST in the node is none, not podwire0/ },
];

const ofRouted: readonly Tampering[] = [
  {
    name: 'IPv4 address removed',
    commands: ['POD: ip addr del 10.244.1.2/32 dev eth0'],
    problem: /address 10\.244\.1\.2\/32 is missing on eth0/,
  },
  {
    name: 'IPv6 address removed',
    commands: ['POD: ip addr del fd00:10:244:1::2/128 dev eth0'],
    problem: /address fd00:10:244:1::2\/128 is missing on eth0/,
  },
  {
    name: 'the node forgets its route to the pod',
    commands: ['ip route del 10.244.1.2'],
    problem: /route 10\.244\.1\.2\/32 dev HOST is missing in the node/,
  },
  {
    name: 'the node loses its address of the link',
    commands: ['ip addr del fe80::1/64 dev HOST'],
    problem: /address fe80::1\/64 is missing on HOST/,
  },
  {
    name: 'the pod forgets its next hop',
    commands: ['POD: ip neigh del 169.254.1.1 dev eth0'],
    problem: /permanent neighbour 169\.254\.1\.1 lladdr 0e:58:0a:f4:01:02 of eth0 is missing in the pod/,
  },
  {
    name: 'the node knows the pod by another MAC',
    commands: ['ip neigh replace 10.244.1.2 lladdr 02:00:00:00:00:01 dev HOST nud permanent'],
    problem: /permanent neighbour 10\.244\.1\.2 lladdr 0a:58:0a:f4:01:02 of HOST is at 02:00:00:00:00:01 in the node/,
  },
  {
    name: 'the MAC of the node end',
    commands: ['ip link set HOST address 02:00:00:00:00:02'],
    problem: /mac of HOST in the node is 02:00:00:00:00:02, not 0e:58:0a:f4:01:02/,
  },
];

async function checkEach(t: Test, node: CniNode, config: object, tamperings: readonly Tampering[]): Promise<void> {
  node.addPod('a');
  let added = await node.cni('ADD', 'a', { config });
  t.equal(added.exitCode, 0, added.stdout);
  const host = added.json.interfaces.at(-2).name as string;
  const check = () => node.cni('CHECK', 'a', { config: { ...config, prevResult: added.json } });
  t.equal((await check()).stdout, '', 'untouched');
  let before: { readonly name: string; readonly repair: string; readonly problem: RegExp } | undefined;
  for (const { name, commands, problem } of tamperings) {
    for (const command of commands) {
      const [words, pod] = command.startsWith('POD: ') ? [command.slice(5), 'a'] : [command, undefined];
      node.exec(words.replaceAll('HOST', host), pod);
    }
    const { json: error, exitCode } = await check();
    t.equal(exitCode, 1, name);
    const expected = new RegExp(problem.source.replaceAll('HOST', host), 's');
    t.match(error, { code: 104, msg: expected }, name);
    if (before) t.notMatch(error?.msg, before.problem, `${before.name} has been repaired by ${before.repair}`);
    // What CHECK names as the repair is run as it is.
    const [, repair = ''] = /^repair: (.*)$/s.exec(error?.details ?? '') ?? [];
    execFileSync('nsenter', [`--net=${node.namespace}`, 'sh', '-ec', repair]);
    before = { name, repair, problem: expected };
  }
  t.equal((await check()).stdout, '', `${before?.name} has been repaired by ${before?.repair}`);
  const [gateway, gateway6] = config === extras ? ['10.244.1.1', 'fd00:10:244:1::1'] : ['192.0.2.1', '2001:db8::1'];
  for (const address of [gateway!, gateway6!])
    t.match(node.exec(`ping -c 1 -W 5 ${address}`, 'a'), '1 received', `the pod reaches ${address}`);

  for (const what of ['owners/container-a@eth0', 'claims/ADDRESS']) {
    const path = what.replace('ADDRESS', added.json.ips[0].address.split('/')[0]);
    rmSync(node.files().find((file) => file.includes('/podwire/') && file.endsWith(path))!);
    const missing = { code: 104, msg: /no reservation for container container-a eth0 in /, details: 'repair: DEL and ADD the pod again' };
    t.match((await check()).json, missing, `${what} is gone`);
    await repairByAdd();
  }
  node.exec('ip link del eth0', 'a');
  t.match((await check()).json, { code: 104, msg: /link eth0 is missing in the pod/, details: /DEL and ADD the pod again$/ });
  await repairByAdd();

  async function repairByAdd(): Promise<void> {
    t.equal((await node.cni('DEL', 'a', { config })).exitCode, 0);
    added = await node.cni('ADD', 'a', { config });
    t.equal(added.exitCode, 0, added.stdout);
    t.equal((await check()).stdout, '', 'DEL and ADD repair it');
  }
}

void t.test('CHECK names each tampering, and the repair that it names works: bridge', async (t) => {
  const node = createCniNode('check');
  t.teardown(() => node.close());
  await checkEach(t, node, extras, [...common, ...ofBridge]);
});

void t.test('CHECK names each tampering, and the repair that it names works: ptp', async (t) => {
  const node = createCniNode('check-ptp');
  t.teardown(() => node.close());
  node.exec('ip addr add 192.0.2.1/32 dev lo');
  node.exec('ip addr add 2001:db8::1/128 dev lo');
  const routed = { ...extras, mode: 'ptp', bridge: undefined, isDefaultGateway: undefined, hairpinMode: undefined };
  await checkEach(t, node, routed, [...common, ...ofRouted]);
});

void t.test('CHECK tells when the guard of source MACs is gone, and when the configuration has other ranges', async (t) => {
  const node = createCniNode('check-more');
  t.teardown(() => node.close());
  node.addPod('a');
  const config = { macspoofchk: true };
  const { json: prevResult } = await node.cni('ADD', 'a', { config });
  const check = (more: object = {}) => node.cni('CHECK', 'a', { config: { ...config, ...more, prevResult } });
  t.equal((await check()).stdout, '');
  node.exec('nft flush set bridge podwire-source guarded');
  t.match((await check()).json, { code: 104, msg: /macspoofchk: veth\w+ in the node may send from any MAC/ });
  const ipam = { ...(node.config['ipam'] as object), ranges: [[{ subnet: '10.244.9.0/24' }], [{ subnet: 'fd00:10:244:1::/64' }]] };
  t.match((await check({ ipam })).json, { code: 104, msg: /reserved address 10\.244\.1\.2 is in none of the ranges/ });
});
