import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countZone, createZoneCompiler, dnsOptions, DnsError, nameserversOf, parseUpstream } from '../../src/dns/index.ts';
import type { Endpoint } from '../../src/objects/index.ts';
import { createAsker, input, namespace, sampleInput, service, slice } from './fixtures.ts';

const manyEndpoints = (count: number): Endpoint[] =>
  Array.from({ length: count }, (_, index) => ({ addresses: [`10.244.${index >> 8}.${index & 255}`] }));
const headless = (count: number) =>
  input({
    services: [service('many', { clusterIP: 'None' })],
    endpointSlices: [slice('many', manyEndpoints(count), [{ name: 'p', port: 1 }])],
  });
const edns = (size: number) => ({
  additionals: [
    { type: 'OPT', name: '.', udpPayloadSize: size, extendedRcode: 0, ednsVersion: 0, flags: 0, flag_do: false, options: [] } as never,
  ],
});

describe('answers', () => {
  it("come in the question's case, whatever the case", () => {
    const { packet, answers } = createAsker()('WeB.DEFAULT.svc.Cluster.Local');
    expect(packet.questions?.[0]?.name).toBe('WeB.DEFAULT.svc.Cluster.Local');
    expect(answers).toEqual(['WeB.DEFAULT.svc.Cluster.Local A 10.96.1.1']);
  });

  it('rotate: each record is first in turn, also for a client that asks for both families in pairs', () => {
    const ask = createAsker(headless(4));
    const first = Array.from({ length: 8 }, () => {
      ask('many.default.svc.cluster.local', 'AAAA');
      return (ask('many.default.svc.cluster.local').packet.answers![0] as { data: string }).data;
    });
    expect(first).toEqual([0, 1, 2, 3, 0, 1, 2, 3].map((n) => `10.244.0.${n}`));
  });

  it('over UDP are cut at whole records within what the client takes, with TC; over TCP they are whole', () => {
    const ask = createAsker(headless(300));
    const name = 'many.default.svc.cluster.local';
    for (const [size, limit] of [
      [0, 512],
      [512, 512],
      [100, 512],
      [1232, 1232],
      [65_535, 1232],
    ] as const) {
      const { tc, bytes, answers } = ask(name, 'A', size ? edns(size) : {});
      expect(tc).toBe(true);
      expect(bytes.length).toBeLessThanOrEqual(limit);
      expect(bytes.length).toBeGreaterThan(limit - 16 - 11);
      expect(new Set(answers).size).toBe(answers.length);
    }
    expect(ask(name, 'A', {}, 'tcp')).toMatchObject({ tc: false, answers: { length: 300 } });
  });

  it('leave out additional addresses without TC when only those do not fit', () => {
    const { tc, answers, additionals } = createAsker(headless(6))('_p._tcp.many.default.svc.cluster.local', 'SRV');
    expect({ tc, answers: answers.length }).toEqual({ tc: false, answers: 6 });
    expect(additionals.length).toBeLessThan(6);
  });

  it('ANY gets one set, transfers and other classes are refused', () => {
    const ask = createAsker();
    expect(ask('web.default.svc.cluster.local', 'ANY' as 'A').answers).toEqual(['web.default.svc.cluster.local A 10.96.1.1']);
    expect(ask('cluster.local', 'AXFR').rcode).toBe('REFUSED');
    expect(
      ask('web.default.svc.cluster.local', 'A', { questions: [{ name: 'web.default.svc.cluster.local', type: 'A', class: 'CH' }] }).rcode,
    ).toBe('REFUSED');
  });
});

describe('the zone', () => {
  it('depends on the objects, not on their order', () => {
    const { services, endpointSlices, namespaces } = sampleInput();
    fc.assert(
      fc.property(
        fc.shuffledSubarray([...services], { minLength: [...services].length }),
        fc.shuffledSubarray([...endpointSlices], { minLength: [...endpointSlices].length }),
        (first, second) => {
          const ask = createAsker(input({ services: first, endpointSlices: second, namespaces: [...namespaces].reverse() }));
          const expected = createAsker();
          for (const name of ['db', '_sql._tcp.db', 'web']) {
            for (const type of ['A', 'SRV'] as const) {
              expect(ask(`${name}.default.svc.cluster.local`, type).bytes).toEqual(
                expected(`${name}.default.svc.cluster.local`, type).bytes,
              );
            }
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  it('keeps what it made of a Service whose objects are the same, and makes anew what changed', () => {
    const compile = createZoneCompiler(dnsOptions());
    const before = sampleInput();
    const first = compile(before);
    const changed = [...before.services].map((each) =>
      each.metadata.name === 'web' ? { ...each, spec: { ...each.spec, clusterIPs: ['10.96.1.9'] } } : each,
    );
    const second = compile({ ...before, services: changed });
    const key = [...first.services.keys()].find((name) => name.startsWith('\x03web'))!;
    const other = [...first.services.keys()].find((name) => name.startsWith('\x02db'))!;
    expect(second.services.get(other)).toBe(first.services.get(other));
    expect(second.services.get(key)).not.toBe(first.services.get(key));
    expect(countZone(second).records.PTR).toBe(countZone(first).records.PTR - 1);
  });

  it('bears names that DNS cannot carry by leaving them out', () => {
    const compile = createZoneCompiler(dnsOptions({ clusterDomain: `${'a.'.repeat(100)}z` }));
    expect(
      compile(input({ services: [service('x'.repeat(63), { clusterIP: '10.96.0.1' })], namespaces: [namespace('default')] })).services.size,
    ).toBe(0);
  });
});

describe('options', () => {
  it.each([
    [{ clusterDomain: 'a..b' }, /clusterDomain.*empty label/],
    [{ clusterDomain: '.' }, /clusterDomain/],
    [{ listenAddresses: ['localhost'] }, /listenAddresses.*"localhost" is not an IP address/],
    [{ listenAddresses: [] }, /listenAddresses/],
    [{ port: 70_000 }, /port/],
    [{ ttlSeconds: -1 }, /ttlSeconds/],
    [{ forward: ['example.com'] }, /forward.*"example.com" is not an address/],
    [{ listenAddresses: ['10.0.0.1'], forward: ['10.0.0.1'] }, /is this server itself/],
    [{ serviceName: 'kube-dns' }, /serviceName/],
    [{ nonsense: 1 } as never, /nonsense|additional/i],
  ])('%j is refused with the reason', (given, message) => {
    expect(() => dnsOptions(given)).toThrow(DnsError);
    expect(() => dnsOptions(given)).toThrow(message);
  });
  it('upstreams and resolv.conf', () => {
    expect(parseUpstream('[2001:db8::53]:5353')).toEqual({ address: '2001:db8::53', port: 5353 });
    expect(parseUpstream('2001:db8::53')).toEqual({ address: '2001:db8::53', port: 53 });
    expect(parseUpstream('192.0.2.1:54')).toEqual({ address: '192.0.2.1', port: 54 });
    expect(nameserversOf('# x\nnameserver 192.0.2.1\nsearch a b\nnameserver fe80::1%eth0\nnameserver 2001:db8::1\n')).toEqual([
      '192.0.2.1',
      '2001:db8::1',
    ]);
  });
});
