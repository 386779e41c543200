import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { invoke } from '../../src/cni-plugin/index.ts';
import type { LinkOperation } from '../../src/dataplane/links.ts';
import { baseConfig, createFakeNode } from './support.ts';

const ranges = (...sets: object[][]) => ({ ipam: { ...baseConfig.ipam, ranges: sets } });

describe('ADD', () => {
  it.each(['0.3.0', '0.3.1', '0.4.0'])('answers %s with a version at each address and no MTU', async (cniVersion) => {
    const { json } = await createFakeNode('a').run('ADD', 'a', { cniVersion });
    expect(json.cniVersion).toBe(cniVersion);
    expect(json.ips).toEqual([
      { version: '4', interface: 2, address: '10.244.1.2/24', gateway: '10.244.1.1' },
      { version: '6', interface: 2, address: 'fd00:10:244:1::2/64', gateway: 'fd00:10:244:1::1' },
    ]);
    expect(json.interfaces[2]).toEqual({ name: 'eth0', mac: '0a:58:0a:f4:01:02', sandbox: '/ns/a' });
  });

  it('answers 1.0.0 without them, and 1.1.0 with the MTU', async () => {
    const node = createFakeNode('a', 'b');
    expect((await node.run('ADD', 'a', { cniVersion: '1.0.0' })).json.ips[0]).toEqual({
      interface: 2,
      address: '10.244.1.2/24',
      gateway: '10.244.1.1',
    });
    expect((await node.run('ADD', 'b', { mtu: 1400 })).json.interfaces.map(({ mtu }: { mtu: number }) => mtu)).toEqual([1400, 1400, 1400]);
  });

  it('tells the MAC that a bridge made by others has', async () => {
    const node = createFakeNode('a');
    await node.links.netlink('/ns/node').apply([{ op: 'ensure-bridge', name: 'podwire0', mac: '02:00:00:00:00:09', mtu: 1500 }]);
    expect((await node.run('ADD', 'a')).json.interfaces[0].mac).toBe('02:00:00:00:00:09');
  });

  it('adds no second default route beside one of the configuration', async () => {
    const { json } = await createFakeNode('a').run('ADD', 'a', {
      ipam: { ...baseConfig.ipam, routes: [{ dst: '0.0.0.0/0', gw: '10.244.1.254', mtu: 1400, priority: 10 }] },
    });
    expect(json.routes).toEqual([
      { dst: '0.0.0.0/0', gw: '10.244.1.254', mtu: 1400, priority: 10 },
      { dst: '::/0', gw: 'fd00:10:244:1::1' },
    ]);
  });

  it('hands DNS settings on', async () => {
    const dns = { nameservers: ['10.96.0.10'], domain: 'cluster.local', search: ['svc.cluster.local'], options: ['ndots:5'] };
    expect((await createFakeNode('a').run('ADD', 'a', { dns })).json.dns).toEqual(dns);
  });

  it('leaves nothing, whichever operation the kernel refuses', async () => {
    const seen: LinkOperation[] = [];
    const probe = createFakeNode('a');
    probe.links.onOperation = (_path, operation) => void seen.push(operation);
    await probe.run('ADD', 'a');
    expect(seen.length).toBeGreaterThan(10);
    for (const [index] of seen.entries()) {
      const node = createFakeNode('a');
      let count = 0;
      node.links.onOperation = () => (count++ === index ? 'refused for this test' : undefined);
      const { json, exitCode } = await node.run('ADD', 'a');
      node.links.onOperation = undefined;
      expect(exitCode, `operation ${index}`).toBe(1);
      expect(json).toMatchObject({ code: 102, msg: expect.stringContaining('refused for this test') });
      expect([node.store.owners(), node.store.claims()]).toEqual([[], []]);
      expect(await node.links.netlink('/ns/node').readPorts('podwire0')).toEqual([]);
      expect((await node.links.netlink('/ns/a').read(['eth0'])).links.size).toBe(0);
      expect((await node.run('ADD', 'a')).exitCode, 'and the next ADD works').toBe(0);
    }
  });

  it('keeps the address when even its link cannot be taken back, until a DEL can', async () => {
    const node = createFakeNode('a');
    node.links.onOperation = (_path, { op }) => (op === 'delete-link' || op === 'ensure-route' ? 'stuck' : undefined);
    expect((await node.run('ADD', 'a')).json).toMatchObject({ code: 102, msg: 'ensure-route in /ns/a: stuck' });
    expect((await node.run('DEL', 'a')).json).toMatchObject({ code: 102, msg: 'delete-link in the node: stuck' });
    expect(node.store.claims()).toEqual(['10.244.1.2', 'fd00:10:244:1::2']);
    node.links.onOperation = undefined;
    expect((await node.run('DEL', 'a')).exitCode).toBe(0);
    expect(node.store.claims()).toEqual([]);
  });

  it('gives up when a DEL of the same container came between', async () => {
    const node = createFakeNode('a');
    node.links.onOperation = (path, { op }) => {
      if (path === '/ns/a' && op === 'ensure-route') node.store.removeOwner('c-a@eth0');
      return undefined;
    };
    expect((await node.run('ADD', 'a')).json).toMatchObject({ code: 105 });
    expect(await node.links.netlink('/ns/node').readPorts('podwire0')).toEqual([]);
  });

  it('names the range that is exhausted and holds no address of the other family', async () => {
    const node = createFakeNode('a', 'b');
    const config = ranges([{ subnet: '10.244.1.0/24' }], [{ subnet: 'fd00::/126', rangeStart: 'fd00::2', rangeEnd: 'fd00::2' }]);
    expect((await node.run('ADD', 'a', config)).exitCode).toBe(0);
    expect((await node.run('STATUS', undefined, config)).json).toMatchObject({ code: 50 });
    expect((await node.run('ADD', 'b', config)).json).toMatchObject({
      code: 103,
      msg: 'network podwire: no free address left in fd00::2-fd00::2 of fd00::/126',
    });
    expect(node.store.claims()).toEqual(['10.244.1.2', 'fd00::2']);
  });
});

describe('what the environment and the configuration must be', () => {
  const cases: [name: string, command: string, config: object, environment: Record<string, string>, code: number, message: RegExp][] = [
    ['unknown command', 'ATTACH', {}, {}, 4, /CNI_COMMAND=ATTACH is unknown/],
    ['missing variables', 'ADD', {}, { CNI_NETNS: '', CNI_IFNAME: '' }, 4, /ADD needs CNI_NETNS, CNI_IFNAME/],
    ['bad container id', 'ADD', {}, { CNI_CONTAINERID: '../x' }, 4, /CNI_CONTAINERID=\.\.\/x/],
    ['long interface name', 'ADD', {}, { CNI_IFNAME: 'a'.repeat(16) }, 4, /CNI_IFNAME=a{16} is not a link name/],
    ['slash in the interface name', 'ADD', {}, { CNI_IFNAME: 'a/b' }, 4, /CNI_IFNAME=a\/b/],
    ['namespace gone', 'ADD', {}, { CNI_NETNS: '/ns/none' }, 4, /CNI_NETNS=\/ns\/none does not exist/],
    ['no namespace', 'ADD', {}, { CNI_NETNS: '/etc/passwd' }, 4, /CNI_NETNS=\/etc\/passwd is not a network namespace/],
    ["the node's namespace", 'ADD', {}, { CNI_NETNS: '/ns/node' }, 4, /is the namespace of the node itself/],
    ['unknown argument', 'ADD', {}, { CNI_ARGS: 'X=1' }, 4, /CNI_ARGS=X=1 holds X/],
    ['malformed argument', 'ADD', {}, { CNI_ARGS: 'IgnoreUnknown' }, 4, /is not KEY=VALUE/],
    ['old version', 'ADD', { cniVersion: '0.2.0' }, {}, 1, /cniVersion: "0.2.0" is not supported/],
    ['no version', 'ADD', { cniVersion: undefined }, {}, 1, /cniVersion: "0.1.0"/],
    ['CHECK before 0.4.0', 'CHECK', { cniVersion: '0.3.1' }, {}, 1, /0\.3\.1 has no CHECK/],
    ['GC before 1.1.0', 'GC', { cniVersion: '1.0.0' }, {}, 1, /1\.0\.0 has no GC/],
    ['GC without a list', 'GC', {}, {}, 7, /cni\.dev\/valid-attachments: missing/],
    ['CHECK without result', 'CHECK', {}, {}, 7, /prevResult: missing/],
    ['no name', 'ADD', { name: undefined }, {}, 7, /name: /],
    ['bad name', 'ADD', { name: '../x' }, {}, 7, /name: "\.\.\/x" may hold/],
    ['vlan', 'ADD', { vlan: 7 }, {}, 2, /vlan: 7 is not supported/],
    ['mtu', 'ADD', { mtu: '1500' }, {}, 7, /mtu: "1500" is not a whole number/],
    ['flag', 'ADD', { hairpinMode: 'yes' }, {}, 7, /hairpinMode: "yes" is not true or false/],
    ['bridge name', 'ADD', { bridge: 'a b' }, {}, 7, /bridge: "a b" is not a link name/],
    ['no ipam', 'ADD', { ipam: undefined }, {}, 7, /ipam: missing/],
    ['ipam not installed', 'ADD', { ipam: { type: 'dhcp' } }, { CNI_PATH: '/bin' }, 7, /ipam\.type: "dhcp" is not found in CNI_PATH=\/bin/],
    ['relative dataDir', 'ADD', { ipam: { ...baseConfig.ipam, dataDir: 'x' } }, {}, 7, /ipam\.dataDir: "x" is not an absolute path/],
    ['no ranges', 'ADD', ranges(), {}, 7, /ipam\.ranges: missing/],
    ['empty set', 'ADD', ranges([]), {}, 7, /ipam\.ranges\[0\]: holds no range/],
    [
      'host bits',
      'ADD',
      ranges([{ subnet: '10.0.0.1/24' }]),
      {},
      7,
      /ipam\.ranges\[0\]\[0\]\.subnet: 10\.0\.0\.1\/24 has host bits set; did you mean 10\.0\.0\.0\/24/,
    ],
    ['too small', 'ADD', ranges([{ subnet: '10.0.0.0/31' }]), {}, 7, /too small/],
    [
      'mixed families',
      'ADD',
      ranges([{ subnet: '10.0.0.0/24' }, { subnet: 'fd00::/64' }]),
      {},
      7,
      /ranges\[0\]\[1\]\.subnet: fd00::\/64 is of another family/,
    ],
    ['overlap', 'ADD', ranges([{ subnet: '10.0.0.0/24' }], [{ subnet: '10.0.0.0/25' }]), {}, 7, /ranges\[1\]\[0\]\.subnet: .* overlaps/],
    [
      'gateway outside',
      'ADD',
      ranges([{ subnet: '10.0.0.0/24', gateway: '10.0.1.1' }]),
      {},
      7,
      /gateway: 10\.0\.1\.1 is outside 10\.0\.0\.0\/24/,
    ],
    [
      'reversed range',
      'ADD',
      ranges([{ subnet: '10.0.0.0/24', rangeStart: '10.0.0.9', rangeEnd: '10.0.0.3' }]),
      {},
      7,
      /rangeStart: 10\.0\.0\.9 is after rangeEnd 10\.0\.0\.3/,
    ],
    ['route', 'ADD', { ipam: { ...baseConfig.ipam, routes: [{ dst: 'x' }] } }, {}, 7, /ipam\.routes\[0\]\.dst: "x" is not a CIDR/],
  ];
  it.each(cases)('%s', async (_name, command, config, environment, code, message) => {
    const node = createFakeNode('a');
    const { json, exitCode } = await node.run(command, 'a', config, environment);
    expect(exitCode).toBe(1);
    expect(json).toMatchObject({ code, msg: expect.stringMatching(message) });
    expect(json.cniVersion).toMatch(/^\d\.\d\.\d$/);
    expect(node.store.owners()).toEqual([]);
  });

  it('ignores keys it does not know, and a host-local range in the ipam object', async () => {
    const config = { somethingNew: 1, ipam: { type: 'podwire-ipam', subnet: '10.9.0.0/24', rangeStart: '10.9.0.50' } };
    expect((await createFakeNode('a').run('ADD', 'a', config)).json.ips[0].address).toBe('10.9.0.50/24');
  });

  it('answers VERSION without ports', async () => {
    const outcome = await invoke({ environment: { CNI_COMMAND: 'VERSION' }, stdin: '{"cniVersion":"0.4.0"}' }, () => {
      throw new Error('opened');
    });
    expect(JSON.parse(outcome.stdout)).toEqual({ cniVersion: '0.4.0', supportedVersions: ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] });
  });

  it('answers any standard input and environment with an error object or a result, never with a crash', async () => {
    const text = fc.oneof(
      fc.string(),
      fc.json(),
      fc.json().map((json) => JSON.stringify({ ...baseConfig, ipam: JSON.parse(json) as unknown })),
    );
    const environment = fc.dictionary(
      fc.constantFrom('CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_ARGS'),
      fc.oneof(fc.string(), fc.constantFrom('a', '/ns/a', 'eth0')),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION', ''),
        text,
        environment,
        async (command, stdin, given) => {
          const node = createFakeNode('a');
          const { exitCode, stdout } = await invoke({ environment: { CNI_COMMAND: command, ...given }, stdin }, () => {
            throw Object.assign(new Error('ports are not for this test'), { code: 'EIO' });
          });
          expect(node.store.owners()).toEqual([]);
          if (exitCode === 1) {
            const { code, msg } = JSON.parse(stdout) as { code: number; msg: string };
            expect(code, msg).toBeLessThan(100);
            expect(msg).not.toBe('');
          } else expect(command).toBe('VERSION');
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('CHECK and STATUS', () => {
  it('are content after an ADD', async () => {
    const node = createFakeNode('a');
    const { json } = await node.run('ADD', 'a');
    expect((await node.run('CHECK', 'a', { prevResult: json })).stdout).toBe('');
    expect((await node.run('STATUS', undefined)).exitCode).toBe(0);
  });

  it('say when forwarding is off', async () => {
    const node = createFakeNode('a');
    const { json } = await node.run('ADD', 'a');
    node.facts.forwards = false;
    expect((await node.run('CHECK', 'a', { prevResult: json })).json).toMatchObject({
      code: 104,
      msg: expect.stringContaining('does not forward IPv4'),
    });
    expect((await node.run('STATUS', undefined)).json).toMatchObject({ code: 51 });
  });

  it('accepts a MAC that a later plugin set, and refuses a result with other addresses', async () => {
    const node = createFakeNode('a');
    const { json } = await node.run('ADD', 'a');
    const tuned = structuredClone(json);
    tuned.interfaces[2].mac = '02:00:00:00:00:01';
    expect((await node.run('CHECK', 'a', { prevResult: tuned })).json).toMatchObject({
      code: 104,
      msg: expect.stringMatching(/mac of eth0/),
    });
    const other = structuredClone(json);
    other.ips[0].address = '10.244.1.99/24';
    expect((await node.run('CHECK', 'a', { prevResult: other })).json).toMatchObject({
      code: 104,
      msg: expect.stringMatching(/reserved address 10\.244\.1\.2\/24 is not in prevResult/),
    });
  });
});
