import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseResolvConf } from '../../src/cni-plugin/dns-options.ts';
import { parseResult } from '../../src/cni-plugin/results.ts';
import { renderCniResult } from '../../src/cni-plugin/render/result.ts';
import { supportedVersions } from '../../src/cni-plugin/index.ts';
import { addressFromValue } from '../../src/net/index.ts';
import { baseConfig, createFakeNode } from './support.ts';

const layer2 = { ipam: undefined, isDefaultGateway: false };
const ptp = { mode: 'ptp', isDefaultGateway: undefined, hairpinMode: undefined };
const readLink = async (node: ReturnType<typeof createFakeNode>, path: string, name: string) =>
  (await node.links.netlink(path).read([name])).links.get(name);

describe('what contradicts itself, and what is of a wrong type, is error 7 naming the key', () => {
  const cases: [config: object, message: RegExp][] = [
    [{ promiscMode: true }, /promiscMode: true contradicts hairpinMode/],
    [{ disableContainerInterface: true }, /disableContainerInterface: true contradicts ipam/],
    [{ mode: 'routed' }, /mode: "routed" is neither/],
    [{ mode: 'ptp' }, /isDefaultGateway: true contradicts mode "ptp"/],
    [{ ...ptp, bridge: 'br1' }, /bridge: "br1" contradicts mode "ptp"/],
    [{ ...ptp, hairpinMode: true }, /hairpinMode: true contradicts mode "ptp"/],
    [{ ...ptp, ipam: undefined }, /ipam: missing; mode "ptp"/],
    [{ ipam: {} }, /ipam: missing; isDefaultGateway/],
    [{ ipam: { ranges: [] } }, /ipam\.type: missing/],
    [{ ipam: { type: '../evil' } }, /ipam\.type: "\.\.\/evil" is not the name of a plugin/],
    [{ mac: '01:00:5e:00:00:01' }, /mac: "01:00:5e:00:00:01" is a multicast address/],
    [{ mac: '00:00:00:00:00:00' }, /mac: .* is no address of a link/],
    [{ runtimeConfig: { mac: 'x' } }, /runtimeConfig\.mac: "x" is not a MAC address/],
    [{ args: { cni: { ips: ['x'] } } }, /args\.cni\.ips\[0\]: "x" is not an IP address/],
    [{ runtimeConfig: { ips: ['10.9.9.9'] } }, /runtimeConfig\.ips\[0\]: "10\.9\.9\.9" is no address for pods/],
    [{ runtimeConfig: { ips: ['10.244.1.1'] } }, /runtimeConfig\.ips\[0\]: "10\.244\.1\.1" is no address for pods/],
    [{ runtimeConfig: { ips: ['10.244.1.8', '10.244.1.9'] } }, /runtimeConfig\.ips\[1\]: "10\.244\.1\.9" is a second address/],
    [{ runtimeConfig: { ips: ['10.244.1.8/33'] } }, /runtimeConfig\.ips\[0\]: "10\.244\.1\.8\/33" is not/],
    [{ runtimeConfig: { ipRanges: [[{ subnet: '10.244.1.0/25' }]] } }, /ipam\.ranges\[1\].* overlaps/],
    [{ runtimeConfig: { dns: { servers: 'x' } } }, /runtimeConfig\.dns\.servers: "x" is not a list/],
    [{ runtimeConfig: { aliases: 'x' } }, /runtimeConfig\.aliases/],
    [{ runtimeConfig: { cgroupPath: 1 } }, /runtimeConfig\.cgroupPath: 1 is not a string/],
    [{ enabledad: 1 }, /enabledad: 1 is not true or false/],
    [{ ipam: { ...baseConfig.ipam, resolvConf: 'x' } }, /ipam\.resolvConf: "x" is not an absolute path/],
    [{ prevResult: 'x' }, /prevResult: "x" is not an object/],
    [
      { prevResult: { ips: [{ address: '10.0.0.1' }] } },
      /prevResult\.ips\[0\]\.address: "10\.0\.0\.1" is not an address with a prefix length/,
    ],
    [{ prevResult: { ips: [{ address: '10.0.0.1/8', interface: 1 }] } }, /prevResult\.ips\[0\]\.interface: 1 is the place of no interface/],
  ];
  it.each(cases)('%j', async (config, message) => {
    const node = createFakeNode('a');
    const { json } = await node.run('ADD', 'a', config);
    expect(json).toMatchObject({ code: 7, msg: expect.stringMatching(message) });
    expect(node.store.owners()).toEqual([]);
  });

  it.each([
    ['MAC=x', /MAC=x is not a MAC/],
    ['IP=x', /IP=x holds no IP address/],
  ])('CNI_ARGS %s is error 4', async (args, message) => {
    const { json } = await createFakeNode('a').run('ADD', 'a', {}, { CNI_ARGS: args });
    expect(json).toMatchObject({ code: 4, msg: expect.stringMatching(message) });
  });

  it.each([{ vlan: 7 }, { vlanTrunk: [{ id: 7 }] }])('%j is error 2', async (config) => {
    expect((await createFakeNode('a').run('ADD', 'a', config)).json).toMatchObject({ code: 2 });
  });

  it('a DEL does not fail for what only ADD needs', async () => {
    const { exitCode } = await createFakeNode('a').run('DEL', 'a', { prevResult: 7, runtimeConfig: { ips: ['10.9.9.9'] } });
    expect(exitCode).toBe(0);
  });
});

describe('what the runtime asks for', () => {
  const args = { CNI_ARGS: 'IP=10.244.1.30;MAC=02:00:00:00:00:30' };
  const own = { args: { cni: { ips: ['10.244.1.20'], mac: '02:00:00:00:00:20' } } };
  const runtime = { runtimeConfig: { ips: ['fd00:10:244:1::10', '10.244.1.10/24'], mac: '02-00-00-00-00-1A' } };

  it.each([
    [
      'runtimeConfig before all',
      { ...own, ...runtime, mac: '02:00:00:00:00:40' },
      args,
      ['10.244.1.10/24', 'fd00:10:244:1::10/64'],
      '02:00:00:00:00:1a',
    ],
    [
      'args.cni before CNI_ARGS',
      { ...own, mac: '02:00:00:00:00:40' },
      args,
      ['10.244.1.20/24', 'fd00:10:244:1::14/64'],
      '02:00:00:00:00:20',
    ],
    [
      'CNI_ARGS before the configuration',
      { mac: '02:00:00:00:00:40' },
      args,
      ['10.244.1.30/24', 'fd00:10:244:1::1e/64'],
      '02:00:00:00:00:30',
    ],
    ['the configuration', { mac: '02:00:00:00:00:40' }, {}, ['10.244.1.2/24', 'fd00:10:244:1::2/64'], '02:00:00:00:00:40'],
  ])('%s', async (_name, config, environment, addresses, mac) => {
    const node = createFakeNode('a');
    const { json } = await node.run('ADD', 'a', config, environment);
    expect(json.ips.map(({ address }: { address: string }) => address)).toEqual(addresses);
    expect(json.interfaces[2].mac).toBe(mac);
    expect((await readLink(node, '/ns/a', 'eth0'))?.mac).toBe(mac);
    expect((await node.run('CHECK', 'a', { ...config, prevResult: json }, environment)).stdout).toBe('');
  });

  it('an address that another pod has is error 108 naming it and the pod, and leaves nothing', async () => {
    const node = createFakeNode('a', 'b');
    await node.run('ADD', 'a');
    const { json } = await node.run('ADD', 'b', { runtimeConfig: { ips: ['10.244.1.2'] } });
    expect(json).toMatchObject({ code: 108, msg: 'network podwire: 10.244.1.2 is taken by container c-a eth0' });
    expect(node.store.owners()).toEqual(['c-a@eth0']);
    expect(node.store.claims()).toEqual(['10.244.1.2', 'fd00:10:244:1::2']);
  });

  it('ranges of the runtime come first', async () => {
    const { json } = await createFakeNode('a').run('ADD', 'a', { runtimeConfig: { ipRanges: [[{ subnet: '10.9.0.0/24' }]] } });
    expect(json.ips.map(({ address }: { address: string }) => address)).toEqual(['10.9.0.2/24', '10.244.1.2/24', 'fd00:10:244:1::2/64']);
  });

  it('takes aliases, cgroupPath and infinibandGUID without doing anything', async () => {
    const runtimeConfig = { aliases: { podwire: ['web'] }, cgroupPath: '/pods/1', infinibandGUID: 'c2:11:22:33:44:55:66:77' };
    expect((await createFakeNode('a').run('ADD', 'a', { runtimeConfig })).exitCode).toBe(0);
  });

  it('DNS settings of the runtime stand above the configuration, and that above resolvConf', async () => {
    const node = createFakeNode('a');
    node.plugins.files.set('/r', 'nameserver 1.1.1.1 # one\nsearch a.test\nsearch b.test c.test\noptions ndots:2\noptions edns0\n');
    const ipam = { ...baseConfig.ipam, resolvConf: '/r' };
    const { json } = await node.run('ADD', 'a', { ipam, dns: { domain: 'd.test' }, runtimeConfig: { dns: { servers: ['9.9.9.9'] } } });
    expect(json.dns).toEqual({ nameservers: ['9.9.9.9'], domain: 'd.test', search: ['b.test', 'c.test'], options: ['ndots:2', 'edns0'] });
    expect((await node.run('ADD', 'a', { ipam: { ...ipam, resolvConf: '/none' } }, { CNI_IFNAME: 'eth1' })).json).toMatchObject({
      code: 5,
      msg: 'ipam.resolvConf: /none does not exist',
    });
  });

  it('reads from a resolv.conf what is written in it, whatever stands between', () => {
    const word = fc.stringMatching(/^[a-z0-9.:]{1,12}$/);
    const words = fc.array(word, { minLength: 1, maxLength: 4 });
    const noise = fc.stringMatching(/^[#;][^\n]{0,20}$/);
    fc.assert(
      fc.property(words, words, words, noise, (nameservers, search, options, comment) => {
        const lines = [
          ...nameservers.map((address) => `nameserver ${address}`),
          `search ${search.join(' ')}`,
          `options ${options.join('\t')}`,
        ];
        expect(parseResolvConf(lines.join(`  ${comment}\n${comment}\n`))).toEqual({ nameservers, search, options });
      }),
    );
  });
});

describe('options of the bridge', () => {
  it('promiscMode, portIsolation and macspoofchk are done, checked and undone', async () => {
    const node = createFakeNode('a');
    const config = { hairpinMode: false, promiscMode: true, portIsolation: true, macspoofchk: true };
    const { json } = await node.run('ADD', 'a', config);
    const host = json.interfaces[1].name as string;
    expect(await readLink(node, '/ns/node', 'podwire0')).toMatchObject({ promisc: true });
    expect(await readLink(node, '/ns/node', host)).toMatchObject({ isolated: true, hairpin: false });
    expect([...node.guarded]).toEqual([[host, json.interfaces[2].mac]]);
    expect((await node.run('CHECK', 'a', { ...config, prevResult: json })).stdout).toBe('');
    const netlink = node.links.netlink('/ns/node');
    await netlink.apply([
      { op: 'set-link', name: 'podwire0', promisc: false },
      { op: 'set-bridge-port', name: host, hairpin: false, isolated: false },
    ]);
    expect((await node.run('CHECK', 'a', { ...config, prevResult: json })).json).toMatchObject({
      code: 104,
      msg: `podwire0 in the node is not promiscuous; ${host} in the node is not isolated`,
      details: `repair: ip link set dev podwire0 promisc on; ip link set dev ${host} type bridge_slave isolated on`,
    });
    await node.run('DEL', 'a', config);
    expect(node.guarded.size).toBe(0);
  });

  it('an address of the bridge that overlaps a range is an error that leaves nothing, or with forceAddress removed', async () => {
    const node = createFakeNode('a');
    const netlink = node.links.netlink('/ns/node');
    const address = { address: addressFromValue(4, 0x0af401fen), length: 24 };
    await netlink.apply([
      { op: 'ensure-bridge', name: 'podwire0', mac: '02:00:00:00:00:01', mtu: 1500 },
      { op: 'ensure-address', device: 'podwire0', address },
    ]);
    expect((await node.run('ADD', 'a')).json).toMatchObject({
      code: 102,
      msg: expect.stringContaining('podwire0 has 10.244.1.254/24, which contradicts its gateway address 10.244.1.1/24'),
    });
    expect(node.store.owners()).toEqual([]);
    expect((await node.run('ADD', 'a', { forceAddress: true })).exitCode).toBe(0);
    expect((await readLink(node, '/ns/node', 'podwire0'))?.addresses.map(({ address: { text } }) => text)).not.toContain('10.244.1.254');
  });

  it('without ipam a pod gets a link and no address', async () => {
    const node = createFakeNode('a');
    const { json } = await node.run('ADD', 'a', layer2);
    expect(json).toMatchObject({ ips: [], routes: [] });
    expect(await readLink(node, '/ns/a', 'eth0')).toMatchObject({ up: true, mac: json.interfaces[2].mac, addresses: [] });
    expect((await node.run('CHECK', 'a', { ...layer2, prevResult: json })).stdout).toBe('');
    expect((await node.run('ADD', 'a', layer2)).json).toMatchObject({ code: 101 });
    expect((await node.run('GC', undefined, { ...layer2, 'cni.dev/valid-attachments': [] })).exitCode).toBe(0);
    expect([node.store.owners(), await node.links.netlink('/ns/node').readPorts('podwire0')]).toEqual([[], []]);
  });

  it('disableContainerInterface leaves the link down', async () => {
    const node = createFakeNode('a');
    const config = { ...layer2, disableContainerInterface: true };
    const { json } = await node.run('ADD', 'a', config);
    expect(await readLink(node, '/ns/a', 'eth0')).toMatchObject({ up: false });
    expect((await node.run('CHECK', 'a', { ...config, prevResult: json })).stdout).toBe('');
  });
});

describe('mode ptp', () => {
  it('gives host addresses, a route to the pod, and a next hop that is the same for all', async () => {
    const node = createFakeNode('a');
    const ipam = { ...baseConfig.ipam, routes: [{ dst: '10.0.0.0/8', gw: '10.244.1.1' }] };
    const { json } = await node.run('ADD', 'a', { ...ptp, ipam });
    const [host, pod] = json.interfaces;
    expect(json).toMatchObject({
      interfaces: [{ name: host.name }, { name: 'eth0', sandbox: '/ns/a' }],
      ips: [
        { interface: 1, address: '10.244.1.2/32', gateway: '169.254.1.1' },
        { interface: 1, address: 'fd00:10:244:1::2/128', gateway: 'fe80::1' },
      ],
      routes: [
        { dst: '10.0.0.0/8', gw: '169.254.1.1' },
        { dst: '0.0.0.0/0', gw: '169.254.1.1' },
        { dst: '::/0', gw: 'fe80::1' },
      ],
    });
    const { routes } = await node.links.netlink('/ns/node').read([]);
    expect(routes.map(({ destination, device }) => [destination.text, device])).toEqual([
      ['10.244.1.2/32', host.name],
      ['fd00:10:244:1::2/128', host.name],
    ]);
    expect(node.links.neighbours('/ns/a').get('169.254.1.1 dev eth0')).toBe(host.mac);
    expect(node.links.neighbours('/ns/node').get(`10.244.1.2 dev ${host.name}`)).toBe(pod.mac);
    expect(await readLink(node, '/ns/node', 'podwire0')).toBeUndefined();
    expect((await node.run('CHECK', 'a', { ...ptp, ipam, prevResult: json })).stdout).toBe('');
    await node.links.netlink('/ns/node').apply([{ op: 'delete-route', route: routes[0]! }]);
    expect((await node.run('CHECK', 'a', { ...ptp, ipam, prevResult: json })).json).toMatchObject({
      code: 104,
      msg: expect.stringContaining('route 10.244.1.2/32'),
    });
    expect((await node.run('DEL', 'a', { ...ptp, ipam })).exitCode).toBe(0);
    expect((await node.links.netlink('/ns/node').read([host.name])).links.size).toBe(0);
  });

  it('says when the node does not forward', async () => {
    const node = createFakeNode('a');
    const { json } = await node.run('ADD', 'a', ptp);
    node.facts.forwards = false;
    expect((await node.run('CHECK', 'a', { ...ptp, prevResult: json })).json).toMatchObject({ code: 104 });
    expect((await node.run('STATUS', undefined, ptp)).json).toMatchObject({ code: 51 });
  });
});

describe('after another plugin in the chain', () => {
  const prevResult = {
    cniVersion: '1.0.0',
    interfaces: [{ name: 'lo', mac: '00:00:00:00:00:00', sandbox: '/ns/a' }],
    ips: [{ interface: 0, address: '127.0.0.1/8' }],
    routes: [{ dst: '192.0.2.0/24', gw: '192.0.2.1' }],
    dns: { nameservers: ['192.0.2.53'], search: ['x.test'] },
  };
  it('the result is the earlier one with ours added', async () => {
    const { json } = await createFakeNode('a').run('ADD', 'a', { cniVersion: '1.0.0', prevResult, dns: { search: ['y.test'] } });
    expect(json.interfaces.map(({ name }: { name: string }) => name)).toEqual(['lo', 'podwire0', json.interfaces[2].name, 'eth0']);
    expect(json.ips).toEqual([
      { interface: 0, address: '127.0.0.1/8' },
      { interface: 3, address: '10.244.1.2/24', gateway: '10.244.1.1' },
      { interface: 3, address: 'fd00:10:244:1::2/64', gateway: 'fd00:10:244:1::1' },
    ]);
    expect(json.routes[0]).toEqual({ dst: '192.0.2.0/24', gw: '192.0.2.1' });
    expect(json.dns).toEqual({ nameservers: ['192.0.2.53'], search: ['y.test'] });
  });

  it('a result that is written is read as the same, in every version', async () => {
    const { json } = await createFakeNode('a').run('ADD', 'a', { prevResult });
    const result = parseResult(json, 'result');
    for (const version of supportedVersions) {
      const written = renderCniResult(result, version);
      expect(renderCniResult(parseResult(JSON.parse(JSON.stringify(written)), 'result'), version)).toEqual(written);
    }
    expect(renderCniResult(result, '1.1.0')).toEqual(json);
  });
});

it('CNI_NETNS_OVERRIDE lets the namespace be the own one', async () => {
  const { json } = await createFakeNode('a').run('ADD', 'a', {}, { CNI_NETNS: '/ns/node', CNI_NETNS_OVERRIDE: 'true' });
  expect(json.interfaces[2]).toMatchObject({ name: 'eth0', sandbox: '/ns/node' });
});
