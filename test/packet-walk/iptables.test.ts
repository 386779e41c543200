import { describe, expect, test } from 'vitest';
import { parseIptablesSave } from '../../src/dataplane/iptables-parse.ts';
import { type Packet, WalkError, walkOutcomes, walkPacket } from '../../src/packet-walk/index.ts';

const rules = parseIptablesSave(
  4,
  `*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:MARK-MASQ - [0:0]
:SERVICES - [0:0]
:THREE - [0:0]
:ONE - [0:0]
:ODD - [0:0]
-A PREROUTING -j SERVICES
-A OUTPUT -j SERVICES
-A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE
-A MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A SERVICES -d 10.96.0.10/32 -p udp -m udp --dport 53 -j THREE
-A SERVICES -d 10.96.0.11/32 -p tcp -m tcp --dport 80:90 -g ONE
-A SERVICES -d 10.96.0.11/32 -p tcp -j DNAT --to-destination 10.244.9.9
-A SERVICES -d 10.96.0.12/32 -j ODD
-A ODD -m limit --limit 1/sec -j ONE
-A SERVICES -d 10.96.0.13/32 -j GONE
-A THREE -s 10.244.1.7/32 -j MARK-MASQ
-A THREE -p udp -m statistic --mode random --probability 0.33333333349 -j DNAT --to-destination 10.244.1.7:53
-A THREE -p udp -m statistic --mode random --probability 0.50000000000 -j DNAT --to-destination 10.244.1.8:53
-A THREE -p udp -j DNAT --to-destination 10.244.1.9:53
-A ONE -i eth+ -j RETURN
-A ONE -p tcp -j DNAT --to-destination 10.244.1.7:8080
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -p tcp -m tcp --dport 22 -j DROP
-A FORWARD -m conntrack --ctstate INVALID -j DROP
-A FORWARD -m conntrack --ctstate DNAT -j ACCEPT
-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A FORWARD -d 10.0.0.0/8 -j REJECT --reject-with icmp-port-unreachable
COMMIT
`,
);
const world = { addresses: ['192.168.88.11'] };
const dns: Packet = { hook: 'prerouting', to: '10.96.0.10', port: 53, protocol: 'udp' };

describe('a packet', () => {
  test('is redirected by the first rule that takes it', () => {
    expect(walkPacket(rules, dns)).toMatchObject({ verdict: 'dnat', to: '10.244.1.7:53', masquerade: false, delivered: 'out' });
    let asked = 0;
    const choose = (): boolean => ++asked === 2;
    expect(walkPacket(rules, dns, { ...world, choose })).toMatchObject({ verdict: 'dnat', to: '10.244.1.8:53' });
  });

  test('is masqueraded when a chain on its way marked it', () => {
    expect(walkPacket(rules, { ...dns, from: '10.244.1.7' })).toMatchObject({ masquerade: true, mark: 0x4000 });
  });

  test('comes back from a chain that decides nothing, but not after a goto', () => {
    const web: Packet = { hook: 'prerouting', to: '10.96.0.11', port: 85, protocol: 'tcp' };
    expect(walkPacket(rules, web)).toMatchObject({ to: '10.244.1.7:8080' });
    expect(walkPacket(rules, { ...web, in: 'eth0' })).toMatchObject({
      verdict: 'reject',
      rejectWith: 'icmp-port-unreachable',
      to: '10.96.0.11:85',
    });
    expect(walkPacket(rules, { ...web, port: 91 })).toMatchObject({ to: '10.244.9.9:91' });
  });

  test('meets INPUT when it is for the machine, FORWARD and its policy when not', () => {
    expect(walkPacket(rules, { hook: 'prerouting', to: '192.168.88.11', port: 22, protocol: 'tcp' }, world)).toMatchObject({
      verdict: 'drop',
    });
    expect(walkPacket(rules, { hook: 'prerouting', to: '192.168.88.11', port: 23, protocol: 'tcp' }, world)).toMatchObject({
      verdict: 'accept',
      delivered: 'local',
    });
    const dropped = walkPacket(rules, { hook: 'prerouting', to: '192.0.2.9', port: 22, protocol: 'tcp' }, world);
    expect(dropped.verdict).toBe('drop');
    expect(dropped.path.at(-1)).toEqual({ table: 'filter', hook: 'FORWARD', chain: 'FORWARD', text: 'policy DROP' });
    expect(
      walkPacket(rules, { hook: 'output', from: '192.168.88.11', to: '192.168.88.11', port: 22, protocol: 'tcp' }, world).verdict,
    ).toBe('drop');
  });

  test('of a known connection does not meet the nat table', () => {
    expect(walkPacket(rules, { ...dns, state: 'ESTABLISHED' })).toMatchObject({ verdict: 'accept', to: '10.96.0.10:53' });
    expect(walkPacket(rules, { ...dns, state: 'INVALID' }).verdict).toBe('drop');
  });

  test('leaves a path of every rule it met', () => {
    expect(walkPacket(rules, dns).path.map(({ table, chain, rule }) => [table, chain, rule])).toEqual([
      ['nat', 'PREROUTING', 0],
      ['nat', 'SERVICES', 0],
      ['nat', 'THREE', 1],
      ['filter', 'FORWARD', 1],
    ]);
  });
});

describe('the walk fails', () => {
  const to = (address: string): Packet => ({ hook: 'prerouting', to: address, port: 80, protocol: 'tcp' });
  test('at a rule it does not know', () => {
    expect(() => walkPacket(rules, to('10.96.0.12'))).toThrow(WalkError);
    expect(() => walkPacket(rules, to('10.96.0.12'))).toThrow('table nat, chain ODD, rule 0');
  });
  test('at a chain that is not there', () => {
    const without = parseIptablesSave(4, '*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j GONE\nCOMMIT\n');
    expect(() => walkPacket(without, to('10.96.0.13'))).toThrow('table nat has no chain GONE');
  });
  test('in a circle', () => {
    const circle = parseIptablesSave(
      4,
      '*nat\n:PREROUTING ACCEPT [0:0]\n:A - [0:0]\n:B - [0:0]\n-A PREROUTING -j A\n-A A -j B\n-A B -j A\nCOMMIT\n',
    );
    expect(() => walkPacket(circle, to('10.96.0.13'))).toThrow('run in a circle');
  });
  test('where a target is not possible', () => {
    const wrong = parseIptablesSave(4, '*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j REJECT\nCOMMIT\n');
    expect(() => walkPacket(wrong, to('10.96.0.13'))).toThrow('REJECT is not possible');
  });
});

test('all outcomes are found, with their odds', () => {
  const outcomes = walkOutcomes(rules, dns, world);
  expect(outcomes.map(({ result }) => result.to).sort()).toEqual(['10.244.1.7:53', '10.244.1.8:53', '10.244.1.9:53']);
  for (const { probability } of outcomes) expect(probability).toBeCloseTo(1 / 3, 8);
  expect(() => walkOutcomes(rules, dns, world, 2)).toThrow('more than 2 ways');
});
