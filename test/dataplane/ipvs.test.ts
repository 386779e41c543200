import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { applyIpSets } from '../../src/dataplane/ipset-apply.ts';
import { diffIpSets, printIpSetSave } from '../../src/dataplane/ipset-diff.ts';
import { IpSetSyntaxError, parseIpSetSave } from '../../src/dataplane/ipset-parse.ts';
import type { IpSet, IpSets, IpSetType } from '../../src/dataplane/ipset.ts';
import { parseRule } from '../../src/dataplane/iptables-parse.ts';
import { printRule } from '../../src/dataplane/iptables-print.ts';
import { applyIpvs, IpvsRefusal } from '../../src/dataplane/ipvs-apply.ts';
import { diffIpvs, drainingAfter, splitDraining } from '../../src/dataplane/ipvs-diff.ts';
import { IpvsSyntaxError, parseIpvsConnections, parseIpvsSave } from '../../src/dataplane/ipvs-parse.ts';
import { printIpvsRestore, printIpvsSave } from '../../src/dataplane/ipvs-print.ts';
import { ipvsSchedulers, type RealServer, realServerKey, type VirtualServer, virtualServerKey } from '../../src/dataplane/ipvs.ts';

/** What ipvsadm 1.31 wrote on Linux 6.1 (`ipvsadm -Sn`). */
const dumped = `-A -t 10.96.0.1:80 -s rr
-a -t 10.96.0.1:80 -r 10.244.1.2:8080 -m -w 1
-a -t 10.96.0.1:80 -r 10.244.1.3:8080 -m -w 0
-A -t 10.96.0.3:80 -s lc -p 300 -M 255.255.255.0
-a -t 10.96.0.3:80 -r 10.244.1.2:80 -i -w 1 --tun-type ipip
-a -t 10.96.0.3:80 -r 10.244.1.3:80 -g -w 3
-A -u 10.96.0.1:53 -s wrr -p 10800
-A --sctp-service 10.96.0.1:53 -s mh -b mh-port
-A -t [fd00:10:96::1]:80 -s sh -p 300 -b sh-fallback,sh-port
-a -t [fd00:10:96::1]:80 -r [fd00:10:244::2]:8080 -m -w 1
`;

describe('virtual servers', () => {
  test('the output of ipvsadm is read and written as it was', () => {
    const servers = parseIpvsSave(dumped);
    expect([...servers.keys()]).toEqual([
      'tcp 10.96.0.1:80',
      'tcp 10.96.0.3:80',
      'udp 10.96.0.1:53',
      'sctp 10.96.0.1:53',
      'tcp [fd00:10:96::1]:80',
    ]);
    expect(servers.get('tcp 10.96.0.3:80')).toMatchObject({ scheduler: 'lc', persistence: 300, persistenceMask: '255.255.255.0' });
    expect([...servers.get('tcp 10.96.0.3:80')!.reals.values()].map(({ method, weight }) => [method, weight])).toEqual([
      ['tunnel', 1],
      ['droute', 3],
    ]);
    expect(printIpvsSave(servers)).toBe(dumped);
  });

  test('virtual servers by firewall mark are left out, with other kinds of tunnels read all the same', () => {
    const text = `-A -f 7 -s rr\n-a -f 7 -r 10.0.0.1:0 -g -w 1\n-A -t 10.0.0.9:80 -s rr\n-a -t 10.0.0.9:80 -r 10.0.0.2:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum\n`;
    expect([...parseIpvsSave(text).keys()]).toEqual(['tcp 10.0.0.9:80']);
  });

  test.each([
    ['-A -t 10.0.0.1 -s rr', 'no ADDRESS:PORT'],
    ['-A -x 10.0.0.1:80 -s rr', 'no virtual service'],
    ['-a -t 10.0.0.1:80 -r 10.0.0.2:80 -m -w 1', 'not told before'],
    ['-A -t 10.0.0.1:80 -s rr --what 3', 'unknown option --what'],
    ['-A -t 10.0.0.1:80 -p soon', 'no number of seconds'],
  ])('%s is refused', (line, reason) => {
    expect(() => parseIpvsSave(`${line}\n`)).toThrow(IpvsSyntaxError);
    expect(() => parseIpvsSave(`${line}\n`)).toThrow(reason);
  });

  test('connections are counted out of the listing', () => {
    const listing = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  10.96.0.1:80 rr
  -> 10.244.1.2:8080              Masq    1      3          4         
  -> 10.244.1.3:8080              Masq    0      0          0         
UDP  10.96.0.1:53 wrr persistent 10800
SCTP 10.96.0.1:53 mh (mh-port)
TCP  [fd00:10:96::1]:80 sh (sh-fallback,sh-port) persistent 300
  -> [fd00:10:244::2]:8080        Masq    1      1          0         
FWM  7 rr
  -> 10.0.0.1:0                   Route   1      9          9         
`;
    const connections = parseIpvsConnections(listing);
    expect([...connections.get('tcp 10.96.0.1:80')!]).toEqual([
      ['10.244.1.2:8080', 7],
      ['10.244.1.3:8080', 0],
    ]);
    expect(connections.get('tcp [fd00:10:96::1]:80')?.get('[fd00:10:244::2]:8080')).toBe(1);
    expect(connections.size).toBe(4);
  });

  const real = fc.record({
    address: fc.constantFrom('10.244.1.2', '10.244.1.3', '10.244.2.2'),
    port: fc.constantFrom(80, 8080),
    method: fc.constantFrom<RealServer['method']>('masq', 'droute', 'tunnel'),
    weight: fc.constantFrom(1, 1, 2),
  });
  const server = fc.record({
    address: fc.constantFrom('10.96.0.1', '10.96.0.2', 'fd00:10:96::1'),
    port: fc.constantFrom(80, 443),
    protocol: fc.constantFrom<VirtualServer['protocol']>('tcp', 'udp', 'sctp'),
    scheduler: fc.constantFrom(...ipvsSchedulers),
    schedulerFlags: fc.constantFrom<string[]>([], ['mh-port'], ['sh-fallback', 'sh-port']),
    persistence: fc.option(fc.integer({ min: 1, max: 86_400 }), { nil: undefined }),
    reals: fc.array(real, { maxLength: 4 }).map((reals) => new Map(reals.map((each) => [realServerKey(each), each]))),
  });
  const servers = fc
    .array(server, { maxLength: 6 })
    .map((list) => new Map<string, VirtualServer>(list.map((each) => [virtualServerKey(each), each])));

  test('what is printed is read again as it was', () => {
    fc.assert(
      fc.property(servers, (made) => {
        expect(parseIpvsSave(printIpvsSave(made))).toEqual(made);
      }),
    );
  });

  test('a difference, done, leaves what was wanted, and idle real servers go in the next one', () => {
    fc.assert(
      fc.property(servers, servers, (before, after) => {
        const operations = diffIpvs({ servers: before, draining: new Map() }, after, () => true);
        const kernel = applyIpvs(before, operations);
        const draining = drainingAfter(new Map(), operations);
        const seen = splitDraining(kernel, (each) => ({ ...each, connections: 0 }));
        expect(seen.servers).toEqual(after);
        expect([...seen.draining.keys()].sort()).toEqual([...draining.keys()].sort());
        const rest = diffIpvs(seen, after, () => true);
        expect(rest.every(({ op }) => op === 'delete-real')).toBe(true);
        expect(applyIpvs(kernel, rest)).toEqual(after);
      }),
    );
  });

  const web = (...reals: RealServer[]): Map<string, VirtualServer> =>
    new Map([
      [
        'tcp 10.96.0.1:80',
        {
          address: '10.96.0.1',
          port: 80,
          protocol: 'tcp',
          scheduler: 'rr',
          schedulerFlags: [],
          persistence: undefined,
          reals: new Map(reals.map((each) => [realServerKey(each), each])),
        },
      ],
    ]);
  const at = (address: string, weight = 1): RealServer => ({ address, port: 8080, method: 'masq', weight });

  test('a real server that drains is kept while it has connections, or while nobody counted them, until it has expired', () => {
    const wanted = web(at('10.244.1.2'));
    const kernel = web(at('10.244.1.2'), at('10.244.1.3', 0));
    const after = (more: object): string =>
      printIpvsRestore(
        diffIpvs(
          splitDraining(kernel, (each) => ({ ...each, ...more })),
          wanted,
          () => true,
        ),
      );
    expect(after({})).toBe('');
    expect(after({ connections: 2 })).toBe('');
    expect(after({ connections: 0 })).toBe('-d -t 10.96.0.1:80 -r 10.244.1.3:8080\n');
    expect(after({ connections: 2, expired: true })).toBe('-d -t 10.96.0.1:80 -r 10.244.1.3:8080\n');
  });

  test('one that is wanted again while it drains gets its weight back', () => {
    const seen = splitDraining(web(at('10.244.1.2', 0)), (each) => ({ ...each, connections: 2 }));
    expect(printIpvsRestore(diffIpvs(seen, web(at('10.244.1.2')), () => true))).toBe('-e -t 10.96.0.1:80 -r 10.244.1.2:8080 -m -w 1\n');
  });

  test('virtual servers of others stay, and what the kernel would refuse is refused', () => {
    expect(diffIpvs({ servers: web(), draining: new Map() }, new Map(), () => false)).toEqual([]);
    const [server] = web().values();
    expect(() => applyIpvs(web(), [{ op: 'add-server', server: server! }])).toThrow(IpvsRefusal);
    expect(() => applyIpvs(web(), [{ op: 'delete-real', server: server!, real: at('10.0.0.1') }])).toThrow('No such destination');
    expect(() => applyIpvs(new Map(), [{ op: 'add-real', server: server!, real: at('10.0.0.1') }])).toThrow('Service not defined');
  });
});

describe('sets', () => {
  /** What ipset 7.17 wrote on Linux 6.1. */
  const saved = `create KUBE-CLUSTER-IP hash:ip,port family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0x58fa96ea
add KUBE-CLUSTER-IP 10.96.0.1,tcp:80
add KUBE-CLUSTER-IP 10.96.0.1,udp:53
create KUBE-6-CLUSTER-IP hash:ip,port family inet6 hashsize 1024 maxelem 65536 comment bucketsize 12 initval 0x41e61b08
create KUBE-NODE-PORT-TCP bitmap:port range 0-65535
add KUBE-NODE-PORT-TCP 30080
create foreign list:set size 8
add foreign KUBE-CLUSTER-IP
`;

  test('the output of ipset save is read; sets of others are not looked at', () => {
    const sets = parseIpSetSave(saved, (name) => name.startsWith('KUBE-'));
    expect([...sets].map(([name, { type, family, elements }]) => [name, type, family, [...elements.keys()]])).toEqual([
      ['KUBE-CLUSTER-IP', 'hash:ip,port', 4, ['10.96.0.1,tcp:80', '10.96.0.1,udp:53']],
      ['KUBE-6-CLUSTER-IP', 'hash:ip,port', 6, []],
      ['KUBE-NODE-PORT-TCP', 'bitmap:port', undefined, ['30080']],
    ]);
    expect(() => parseIpSetSave(saved, () => true)).toThrow(/foreign is of type list:set/);
    expect(() => parseIpSetSave('add X 1\n', () => true)).toThrow(IpSetSyntaxError);
    expect(() => parseIpSetSave('what\n', () => true)).toThrow(IpSetSyntaxError);
  });

  const set = fc.record({
    type: fc.constantFrom<IpSetType>('hash:ip', 'hash:ip,port'),
    family: fc.constantFrom<IpSet['family']>(4, 6),
    elements: fc.subarray(['10.0.0.1', '10.0.0.2', '10.0.0.3,tcp:80']).map((list) => new Map(list.map((each) => [each, true as const]))),
  });
  const sets = fc.array(fc.tuple(fc.constantFrom('A', 'B', 'C'), set), { maxLength: 3 }).map((list): IpSets => new Map(list));

  test('a difference, done, leaves what was wanted; what is printed is read again', () => {
    fc.assert(
      fc.property(sets, sets, (before, after) => {
        const made = applyIpSets(
          before,
          diffIpSets(before, after, () => true),
        );
        expect(made).toEqual(after);
        expect(diffIpSets(made, after, () => true)).toEqual([]);
        expect(parseIpSetSave(printIpSetSave(made), () => true)).toEqual(made);
      }),
    );
  });

  test('a set in use is not destroyed, nor one of others', () => {
    const used: IpSets = new Map([['A', { type: 'hash:ip', family: 4, elements: new Map() }]]);
    expect(() => applyIpSets(used, [{ op: 'destroy', set: 'A' }], () => true)).toThrow('in use by a kernel component');
    expect(diffIpSets(used, new Map(), () => false)).toEqual([]);
  });

  test.each(['-m set --match-set KUBE-CLUSTER-IP dst,dst -j ACCEPT', '-p tcp -m set ! --match-set KUBE-IPVS-IPS src -j DROP'])(
    'a rule that asks a set is read and written: %s',
    (text) => {
      const rule = parseRule(4, text);
      expect(rule).toHaveProperty('matches');
      expect(printRule(rule)).toBe(text);
    },
  );
});
