import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BgpError, compile, resolveBgpOptions } from '../../src/bgp/index.ts';
import { makeNode } from './nodes.ts';

const options = resolveBgpOptions({ nodeName: 'n1' });
const nodes = [1, 2, 3].map((index) => makeNode(index));

describe('compile', () => {
  it('makes a mesh of all other nodes over IPv4, and advertises our pod CIDRs with our address of their family', () => {
    const plan = compile({ options, nodes });
    expect(plan.self?.routerId.text).toBe('192.168.88.1');
    expect(
      plan.peers.map(({ name, address, localAddress, asn, importPolicy }) => [name, address.text, localAddress.text, asn, importPolicy]),
    ).toEqual([
      ['n2', '192.168.88.2', '192.168.88.1', 64_512, 'all'],
      ['n3', '192.168.88.3', '192.168.88.1', 64_512, 'all'],
    ]);
    expect(plan.advertisements.map(({ prefix, nextHop }) => [prefix.text, nextHop.text])).toEqual([
      ['10.244.1.0/24', '192.168.88.1'],
      ['fd00:10:244:1::/64', 'fd00:88::1'],
    ]);
    expect(plan.listen.map(({ text }) => text)).toEqual(['192.168.88.1']);
    expect(plan.problems).toEqual([]);
  });

  it('does not depend on the order of the nodes', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(nodes, { minLength: 3 }), (shuffled) => {
        expect(JSON.stringify(compile({ options, nodes: shuffled }), plain)).toBe(JSON.stringify(compile({ options, nodes }), plain));
      }),
    );
  });

  it('waits while our own Node is not there or has no address', () => {
    expect(compile({ options, nodes: nodes.slice(1) }).self).toBeUndefined();
    expect(compile({ options, nodes: [{ ...nodes[0]!, status: {} }] }).self).toBeUndefined();
  });

  it('speaks IPv6 with a node that has nothing else, and listens there too', () => {
    const plan = compile({ options, nodes: [nodes[0]!, makeNode(4, { addresses: ['fd00:88::4'] })] });
    expect(plan.peers.map(({ address, localAddress }) => [address.text, localAddress.text])).toEqual([['fd00:88::4', 'fd00:88::1']]);
    expect(plan.listen.map(({ text }) => text)).toEqual(['fd00:88::1']);
  });

  it('names object, field and reason of what it cannot use, and goes on without', () => {
    const { problems, peers, advertisements } = compile({
      options: resolveBgpOptions({ nodeName: 'n1', peers: [{ address: '192.168.88.1', asn: 1 }] }),
      nodes: [
        makeNode(1, { addresses: ['192.168.88.1'], podCIDRs: ['10.244.1.0/24', 'fd00::/64', 'pods'] }),
        makeNode(2, { addresses: ['192.168.88.300', '192.168.88.2'] }),
        makeNode(3, { addresses: ['192.168.88.2'] }),
        makeNode(4, { addresses: ['fd00::4'] }),
      ],
    });
    expect(problems).toEqual([
      'peer 192.168.88.1: that is our own address',
      'Node n2: status.addresses[0].address "192.168.88.300" is not an IP address',
      'Node n3: InternalIP 192.168.88.2 is already that of peer n2',
      'Node n4: has no InternalIP of an address family that we have',
      'Node n1: spec.podCIDRs[2] "pods" is not a CIDR',
      'fd00::/64 is not advertised: we have no IPv6 address to be its next hop',
    ]);
    expect(peers.map(({ name }) => name)).toEqual(['n2']);
    expect(advertisements.map(({ prefix }) => prefix.text)).toEqual(['10.244.1.0/24']);
  });

  it('gives a static peer in another AS nothing and takes nothing, unless told to (RFC 8212)', () => {
    const peers = [
      { address: '192.168.88.8', asn: 65_000 },
      { address: '192.168.88.9', asn: 65_000, import: 'all' as const },
      { address: '192.168.88.7', asn: 64_512 },
    ];
    const plan = compile({ options: resolveBgpOptions({ localAddresses: ['192.168.88.1'], peers, advertise: ['10.0.0.0/8'] }), nodes: [] });
    expect(plan.peers.map(({ name, importPolicy, exportPolicy }) => [name, importPolicy, exportPolicy])).toEqual([
      ['192.168.88.7', 'all', 'all'],
      ['192.168.88.8', 'none', 'none'],
      ['192.168.88.9', 'all', 'none'],
    ]);
    expect(plan.advertisements).toHaveLength(1);
  });
});

const plain = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value);

describe('options', () => {
  it('have the defaults of the schema and are frozen', () => {
    expect(options).toMatchObject({ asn: 64_512, holdTime: 90, restartTime: 120, listenPort: 179, protocol: 176, ceaseOnStop: false });
    expect(Object.isFrozen(options)).toBe(true);
  });

  it.each<[object, RegExp]>([
    [{ holdTime: 2 }, /BGP option holdTime: is 2, but must be 0 or at least 3/],
    [{ holdTime: 'long' }, /BGP option holdTime: must be integer/],
    [{ asn: 0 }, /BGP option asn/],
    [{ listenPort: 70_000 }, /BGP option listenPort/],
    [{ routerId: 'fd00::1' }, /BGP option routerId: "fd00::1" is not an IPv4 address/],
    [{ advertise: ['10.0.0.1/8'] }, /BGP option advertise\[0\]: "10.0.0.1\/8" has host bits set; did you mean 10.0.0.0\/8/],
    [{ peers: [{ address: 'router', asn: 1 }] }, /BGP option peers\[0\]\.address: "router" is not an IP address/],
    [{ colour: 'red' }, /BGP option/],
    [{ nodeName: undefined }, /BGP option localAddresses: is needed/],
  ])('%j are refused with the reason', (change, message) => {
    const given = { nodeName: 'n1', ...change };
    if (given.nodeName === undefined) delete (given as { nodeName?: string }).nodeName;
    expect(() => resolveBgpOptions(given)).toThrow(message);
  });

  it('refuse a password by a code of its own', () => {
    try {
      resolveBgpOptions({ nodeName: 'n1', peers: [{ address: '192.0.2.1', asn: 1, password: 'secret' }] });
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(BgpError);
      expect((error as BgpError).code).toBe('md5-unsupported');
      expect((error as BgpError).message).not.toContain('secret');
    }
  });
});
