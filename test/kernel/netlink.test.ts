import { execFileSync } from 'node:child_process';
import t from 'tap';
import { linkAddressText, type LinkOperation, linkRouteText, type NamespaceState } from '../../src/dataplane/links.ts';
import { inNetworkNamespace, systemRunner } from '../../src/kernel/command-runner.ts';
import { createFakeLinks } from '../../src/kernel/netlink/fake.ts';
import { createNetlink, type Netlink } from '../../src/kernel/netlink/netlink.ts';
import { spawnRunner } from '../../src/kernel/spawn-runner.ts';
import { parseAddress, parsePrefix } from '../../src/net/index.ts';

const address = (text: string) => ({ address: parseAddress(text.split('/')[0]!), length: Number(text.split('/')[1]) });
const route = (destination: string, gateway: string, device: string, more = {}) => ({
  destination: parsePrefix(destination),
  gateway: parseAddress(gateway),
  device,
  ...more,
});

/** Each list is applied in turn to `node` or `pod`; what the kernel makes of it is what the fake must make of it. */
const script = (podPath: string): readonly (readonly ['node' | 'pod', ...LinkOperation[]])[] => [
  ['node', { op: 'ensure-bridge', name: 'br0', mac: '0a:58:0a:00:00:01', mtu: 1400 }, { op: 'set-link', name: 'br0', up: true }],
  [
    'node',
    { op: 'ensure-bridge', name: 'br0', mac: '0a:58:0a:00:00:99', mtu: 1500 },
    { op: 'ensure-address', device: 'br0', address: address('10.0.0.1/24') },
  ],
  [
    'node',
    { op: 'ensure-address', device: 'br0', address: address('10.0.0.1/24') },
    { op: 'ensure-address', device: 'br0', address: address('fd00::1/64') },
  ],
  [
    'node',
    {
      op: 'add-veth',
      name: 'v0',
      mac: '0e:58:0a:00:00:02',
      mtu: 1400,
      master: 'br0',
      peer: { name: 'eth0', mac: '0a:58:0a:00:00:02', mtu: 1400, namespace: podPath },
    },
    { op: 'set-bridge-port', name: 'v0', hairpin: true },
    { op: 'set-link', name: 'v0', alias: 'default/web pod', linkLocal: false, up: true },
    { op: 'ensure-neighbour', device: 'br0', address: parseAddress('10.0.0.2'), mac: '0a:58:0a:00:00:02' },
  ],
  [
    'node',
    {
      op: 'add-veth',
      name: 'v0',
      mac: '0e:58:0a:00:00:02',
      mtu: 1400,
      peer: { name: 'eth1', mac: '0a:58:0a:00:00:03', mtu: 1400, namespace: podPath },
    },
  ],
  [
    'node',
    {
      op: 'add-veth',
      name: 'v1',
      mac: '0e:58:0a:00:00:02',
      mtu: 1400,
      peer: { name: 'eth0', mac: '0a:58:0a:00:00:03', mtu: 1400, namespace: podPath },
    },
  ],
  ['pod', { op: 'ensure-route', route: route('0.0.0.0/0', '10.0.0.1', 'eth0') }],
  ['pod', { op: 'set-link', name: 'lo', up: true }, { op: 'set-link', name: 'eth0', up: true, linkLocal: false }],
  [
    'pod',
    { op: 'ensure-address', device: 'eth0', address: address('10.0.0.2/24') },
    { op: 'ensure-address', device: 'eth0', address: address('fd00::2/64') },
  ],
  [
    'pod',
    { op: 'ensure-route', route: route('0.0.0.0/0', '10.0.0.1', 'eth0') },
    { op: 'ensure-route', route: route('::/0', 'fd00::1', 'eth0') },
  ],
  ['pod', { op: 'ensure-route', route: route('192.0.2.0/24', '10.0.0.1', 'eth0', { mtu: 1300, advmss: 1200, metric: 7, table: 100 }) }],
  ['pod', { op: 'ensure-route', route: route('192.0.2.0/24', '198.51.100.1', 'eth0') }],
  ['pod', { op: 'delete-address', device: 'eth0', address: address('10.0.0.77/24') }, { op: 'delete-link', name: 'nothing' }],
  ['pod', { op: 'delete-route', route: route('::/0', 'fd00::1', 'eth0') }, { op: 'delete-route', route: route('::/0', 'fd00::1', 'eth0') }],
  ['pod', { op: 'set-link', name: 'nothing', up: true }, { op: 'set-link', name: 'eth0', mtu: 1300 }],
  [
    'node',
    { op: 'forget-neighbour', device: 'br0', address: parseAddress('10.0.0.2') },
    { op: 'forget-neighbour', device: 'br0', address: parseAddress('10.0.0.3') },
  ],
  ['node', { op: 'delete-link', name: 'v0' }, { op: 'delete-link', name: 'v0' }],
];

/** What of the state the two have in common: the kernel adds link-local addresses and routes of its own. */
function comparable({ links, routes }: NamespaceState): unknown {
  return {
    links: [...links.values()].map(({ addresses, ...link }) => ({
      ...link,
      addresses: addresses
        .filter((entry) => !entry.address.text.startsWith('fe80:'))
        .map(linkAddressText)
        .toSorted(),
    })),
    routes: routes
      .filter(({ gateway }) => gateway)
      .map(linkRouteText)
      .toSorted(),
  };
}

void t.test('the fake does and refuses what the kernel does and refuses', async (t) => {
  const [node, pod] = [`pwnl-${process.pid}-node`, `pwnl-${process.pid}-pod`];
  t.teardown(() => {
    for (const name of [node, pod]) execFileSync('ip', ['netns', 'delete', name]);
  });
  for (const name of [node, pod]) execFileSync('ip', ['netns', 'add', name]);
  const paths = { node: `/run/netns/${node}`, pod: `/run/netns/${pod}` };
  const fake = createFakeLinks();
  for (const path of Object.values(paths)) fake.addNamespace(path);
  const real: Record<'node' | 'pod', Netlink> = {
    node: createNetlink(inNetworkNamespace(systemRunner, paths.node)),
    pod: createNetlink(inNetworkNamespace(spawnRunner, paths.pod)),
  };
  for (const [index, [where, ...operations]] of script(paths.pod).entries()) {
    const [actual, modelled] = await Promise.all([
      real[where].apply(operations, ['br0', 'v0', 'eth0']),
      fake.netlink(paths[where]).apply(operations, ['br0', 'v0', 'eth0']),
    ]);
    for (const part of ['failures', 'tolerated'] as const) {
      t.strictSame(
        modelled[part].map(({ operation, reason }) => [operation.op, reason]),
        actual[part].map(({ operation, reason }) => [operation.op, reason]),
        `step ${index}: ${part} ${actual[part].map(({ detail }) => detail).join()}`,
      );
    }
    t.strictSame(comparable(modelled.shown), comparable(actual.shown), `step ${index}: shown`);
    for (const side of ['node', 'pod'] as const) {
      const names = ['br0', 'v0', 'v1', 'eth0', 'eth1'];
      t.strictSame(
        comparable(await fake.netlink(paths[side]).read(names)),
        comparable(await real[side].read(names)),
        `step ${index}: ${side}`,
      );
    }
    t.strictSame(await fake.netlink(paths.node).readPorts('br0'), await real.node.readPorts('br0'));
  }
  t.strictSame(await real.node.readPorts('absent'), []);
});

void t.test('an argument that iproute2 gives up on is an error, also behind a tolerated failure', async (t) => {
  const name = `pwnl-${process.pid}-bad`;
  t.teardown(() => execFileSync('ip', ['netns', 'delete', name]));
  execFileSync('ip', ['netns', 'add', name]);
  const netlink = createNetlink(inNetworkNamespace(systemRunner, `/run/netns/${name}`));
  const peer = { name: 'eth0', mac: '0a:58:0a:00:00:02', mtu: 1500, namespace: '/run/netns/no such place' };
  await t.rejects(
    netlink.apply([
      { op: 'delete-link', name: 'absent' },
      { op: 'add-veth', name: 'v0', mac: '0a:58:0a:00:00:01', mtu: 1500, peer },
    ]),
    /Invalid "netns" value/,
  );
  await t.rejects(createNetlink(inNetworkNamespace(spawnRunner, '/run/netns/no-such')).read(['lo']), /no-such/);
  await t.rejects(netlink.apply([{ op: 'set-link', name: 'lo', alias: 'two\nlines' }]), RangeError);
});
