import { describe, expect, it } from 'vitest';
import { compileNatTable, type NatNetwork, natTableName } from '../../src/cni-plugin/nat-table.ts';
import { removeTransaction, setUpTransaction } from '../../src/cni-plugin/nat-transactions.ts';
import type { HostPort } from '../../src/cni-plugin/port-maps.ts';
import { diffNftTable } from '../../src/dataplane/nft-diff.ts';
import { createFakeNft } from '../../src/kernel/fake-nft.ts';
import { type Packet, walkNftPacket } from '../../src/packet-walk/index.ts';

const network: NatNetwork = {
  name: 'podwire',
  subnets: ['10.244.1.0/24', 'fd00:10:244:1::/64'],
  ipMasq: true,
  snat: true,
  masqAll: false,
};
const hostPorts: HostPort[] = [
  { protocol: 'tcp', hostPort: 8080, address: '10.244.1.2', containerPort: 80 },
  { protocol: 'tcp', hostPort: 8080, address: 'fd00:10:244:1::2', containerPort: 80 },
  { protocol: 'udp', hostPort: 5353, hostIP: '192.0.2.10', address: '10.244.1.3', containerPort: 53 },
  { protocol: 'udp', hostPort: 5353, hostIP: '192.0.2.11', address: '10.244.1.2', containerPort: 5300 },
  { protocol: 'sctp', hostPort: 9, hostIP: '2001:db8::10', address: 'fd00:10:244:1::3', containerPort: 99 },
];
const world = { addresses: ['192.0.2.10', '192.0.2.11', '10.244.1.1', '2001:db8::10', 'fd00:10:244:1::1'] };

const walk = (packet: Packet, changed: Partial<NatNetwork> = {}) => {
  const { verdict, to, masquerade } = walkNftPacket([compileNatTable({ ...network, ...changed }, hostPorts)], packet, world);
  return { verdict, to, masquerade };
};
const fromOutside = (to: string, port: number, protocol = 'tcp'): Packet => ({
  hook: 'prerouting',
  in: 'eth0',
  from: to.includes(':') ? '2001:db8::99' : '203.0.113.9',
  to,
  port,
  protocol,
});
const fromPod = (from: string, to: string, port: number, protocol = 'tcp'): Packet => ({
  hook: 'prerouting',
  in: 'podwire0',
  from,
  to,
  port,
  protocol,
});
const fromNode = (from: string, to: string, port: number, protocol = 'tcp'): Packet => ({ hook: 'output', from, to, port, protocol });

describe('host ports', () => {
  it('lead from outside to the pod, which sees who asks', () => {
    expect(walk(fromOutside('192.0.2.10', 8080))).toEqual({ verdict: 'dnat', to: '10.244.1.2:80', masquerade: false });
    expect(walk(fromOutside('2001:db8::10', 8080))).toEqual({ verdict: 'dnat', to: '[fd00:10:244:1::2]:80', masquerade: false });
  });

  it('of one protocol do not catch another', () => {
    expect(walk(fromOutside('192.0.2.10', 8080, 'udp'))).toMatchObject({ verdict: 'accept', to: '192.0.2.10:8080' });
  });

  it('at one address leave the others alone, and may lead to different pods', () => {
    expect(walk(fromOutside('192.0.2.10', 5353, 'udp'))).toMatchObject({ verdict: 'dnat', to: '10.244.1.3:53' });
    expect(walk(fromOutside('192.0.2.11', 5353, 'udp'))).toMatchObject({ verdict: 'dnat', to: '10.244.1.2:5300' });
    expect(walk(fromOutside('10.244.1.1', 5353, 'udp'))).toMatchObject({ verdict: 'accept' });
    expect(walk(fromOutside('2001:db8::10', 9, 'sctp'))).toMatchObject({ verdict: 'dnat', to: '[fd00:10:244:1::3]:99' });
  });

  it('do not catch what pods send to the same port elsewhere', () => {
    expect(walk(fromPod('10.244.1.3', '203.0.113.9', 8080))).toEqual({ verdict: 'accept', to: '203.0.113.9:8080', masquerade: true });
  });

  it('lead from the node itself, and from 127.0.0.1 with an address that the pod can answer', () => {
    expect(walk(fromNode('192.0.2.10', '192.0.2.10', 8080))).toEqual({ verdict: 'dnat', to: '10.244.1.2:80', masquerade: false });
    expect(walk(fromNode('127.0.0.1', '127.0.0.1', 8080))).toEqual({ verdict: 'dnat', to: '10.244.1.2:80', masquerade: true });
    expect(walk(fromNode('::1', '::1', 8080)), 'the kernel takes no answer from another link').toMatchObject({ verdict: 'accept' });
  });

  it('lead from the pod to itself, and from its neighbours, by way of the node', () => {
    for (const from of ['10.244.1.2', '10.244.1.3'])
      expect(walk(fromPod(from, '192.0.2.10', 8080))).toEqual({ verdict: 'dnat', to: '10.244.1.2:80', masquerade: true });
    expect(walk(fromPod('fd00:10:244:1::2', '2001:db8::10', 8080))).toEqual({
      verdict: 'dnat',
      to: '[fd00:10:244:1::2]:80',
      masquerade: true,
    });
    expect(walk(fromPod('10.244.2.9', '192.0.2.10', 8080)), 'a pod of another node').toMatchObject({ masquerade: false });
  });

  it('never masquerade with snat: false, and always with masqAll', () => {
    expect(walk(fromPod('10.244.1.3', '192.0.2.10', 8080), { snat: false, ipMasq: false })).toMatchObject({ masquerade: false });
    expect(walk(fromOutside('192.0.2.10', 8080), { masqAll: true })).toMatchObject({ verdict: 'dnat', masquerade: true });
  });

  it('do not open the loopback addresses of the node to its links', () => {
    expect(walk({ ...fromPod('10.244.1.3', '127.0.0.1', 8080) })).toMatchObject({ verdict: 'drop' });
    expect(walk({ ...fromPod('127.0.0.1', '127.0.0.1', 22), in: 'lo' })).toMatchObject({ verdict: 'accept' });
  });
});

describe('ipMasq', () => {
  it('gives what leaves the network the address of the node', () => {
    expect(walk(fromPod('10.244.1.2', '203.0.113.9', 443))).toMatchObject({ verdict: 'accept', masquerade: true });
    expect(walk(fromPod('fd00:10:244:1::2', '2001:db8::99', 443))).toMatchObject({ verdict: 'accept', masquerade: true });
  });

  it.each([
    ['within the network', '10.244.1.2', '10.244.1.3'],
    ['to a group', '10.244.1.2', '239.1.2.3'],
    ['to an IPv6 group', 'fd00:10:244:1::2', 'ff02::fb'],
    ['of others', '192.0.2.77', '203.0.113.9'],
  ])('leaves traffic %s alone', (_, from, to) => {
    expect(walk(fromPod(from, to, 53, 'udp'))).toMatchObject({ verdict: 'accept', masquerade: false });
  });

  it('is off unless it is asked for', () => {
    expect(walk(fromPod('10.244.1.2', '203.0.113.9', 443), { ipMasq: false })).toMatchObject({ masquerade: false });
  });
});

describe('the transactions', () => {
  it('set up the same table again and again, and keep the host ports of other pods', async () => {
    const nft = createFakeNft();
    await nft.apply(setUpTransaction({ ...network, ipMasq: false }, hostPorts.slice(0, 2)));
    await nft.apply(setUpTransaction(network, hostPorts.slice(2)));
    await nft.apply(setUpTransaction(network, hostPorts.slice(2)));
    expect(diffNftTable(await nft.read('podwire-net-podwire'), compileNatTable(network, hostPorts))).toBeUndefined();
    await nft.apply(removeTransaction('podwire', hostPorts)!);
    expect(diffNftTable(await nft.read('podwire-net-podwire'), compileNatTable(network, []))).toBeUndefined();
  });

  it('name a table of every network, and different ones for long names', () => {
    const [a, b] = [natTableName(`${'n'.repeat(199)}a`), natTableName(`${'n'.repeat(199)}b`)];
    expect(a).not.toBe(b);
    for (const name of [a, natTableName('0.1-x_y')]) expect(name).toMatch(/^[a-z][\w.-]{0,120}$/);
  });
});
