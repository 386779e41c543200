import { describe, expect, it } from 'vitest';
import { createAsker, input, pod, sampleInput, service, slice } from './fixtures.ts';

const ask = createAsker();
const soa = 'cluster.local SOA ns.dns.cluster.local hostmaster.cluster.local 7 5';

describe('records of the Kubernetes DNS specification 1.1.0', () => {
  const rows: [behaviour: string, name: string, type: string, answers: string[]][] = [
    ['2.1 the schema version', 'dns-version', 'TXT', ['TXT 1.1.0']],
    ['2.2 A of a Service is its cluster IP', 'web.default.svc', 'A', ['A 10.96.1.1']],
    ['2.2 AAAA of a dual-stack Service', 'web.default.svc', 'AAAA', ['AAAA fd00:10:96::1:1']],
    [
      '2.3.2 SRV of a named TCP port targets the Service',
      '_http._tcp.web.default.svc',
      'SRV',
      ['SRV 0 100 80 web.default.svc.cluster.local'],
    ],
    ['2.3.2 SRV of a named UDP port', '_dns._udp.web.default.svc', 'SRV', ['SRV 0 100 53 web.default.svc.cluster.local']],
    ['2.4.1 A of a headless Service: ready endpoints only', 'db.default.svc', 'A', ['A 10.244.1.7', 'A 10.244.2.7']],
    ['2.4.1 AAAA of a headless Service', 'db.default.svc', 'AAAA', ['AAAA fd00:10:244:1::7', 'AAAA fd00:10:244:2::7']],
    ['2.4.1 an endpoint by its hostname', 'db-0.db.default.svc', 'A', ['A 10.244.1.7']],
    ['2.4.1 an endpoint by its hostname, other family', 'db-0.db.default.svc', 'AAAA', ['AAAA fd00:10:244:1::7']],
    ['an endpoint without hostname by its dashed address', '10-244-2-7.db.default.svc', 'A', ['A 10.244.2.7']],
    ['an IPv6 endpoint without hostname by its dashed address', 'fd00-10-244-2--7.db.default.svc', 'AAAA', ['AAAA fd00:10:244:2::7']],
    ['publishNotReadyAddresses publishes what is not ready', 'early.default.svc', 'A', ['A 10.244.1.10']],
    ['2.5 ExternalName is a CNAME', 'out.default.svc', 'CNAME', ['CNAME www.example.com']],
    ['a pod by its address', '10-244-1-7.default.pod', 'A', ['A 10.244.1.7']],
    ['a pod by its IPv6 address', 'fd00-10-244--7.default.pod', 'AAAA', ['AAAA fd00:10:244::7']],
    ['the apex has a name server', '', 'NS', ['NS ns.dns.cluster.local']],
    ['the name server is the cluster IP of the DNS Service', 'ns.dns', 'A', ['A 10.96.0.10']],
  ];
  it.each(rows)('%s', (_, name, type, expected) => {
    const full = name === '' ? 'cluster.local' : `${name}.cluster.local`;
    const { rcode, aa, answers, packet } = ask(full, type as 'A');
    expect({ rcode, aa, answers }).toEqual({ rcode: 'NOERROR', aa: true, answers: expected.map((row) => `${full} ${row}`) });
    expect(packet.answers?.every((answer) => 'ttl' in answer && answer.ttl === 5)).toBe(true);
  });

  it('2.4.2 SRV of a headless Service has every endpoint with the port of the endpoint, and the addresses beside it', () => {
    const { answers, additionals } = ask('_sql._tcp.db.default.svc.cluster.local', 'SRV', {}, 'tcp');
    expect(answers).toEqual(
      ['10-244-2-7', 'db-0', 'fd00-10-244-2--7'].map(
        (host) => `_sql._tcp.db.default.svc.cluster.local SRV 0 33 5433 ${host}.db.default.svc.cluster.local`,
      ),
    );
    expect(additionals).toEqual([
      '10-244-2-7.db.default.svc.cluster.local A 10.244.2.7',
      'db-0.db.default.svc.cluster.local A 10.244.1.7',
      'db-0.db.default.svc.cluster.local AAAA fd00:10:244:1::7',
      'fd00-10-244-2--7.db.default.svc.cluster.local AAAA fd00:10:244:2::7',
    ]);
  });

  it('2.3.3 and 2.4.3 reverse names lead back to Services and to headless endpoints, in both families', () => {
    expect(ask('1.1.96.10.in-addr.arpa', 'PTR').answers).toEqual(['1.1.96.10.in-addr.arpa PTR web.default.svc.cluster.local']);
    expect(ask('7.1.244.10.in-addr.arpa', 'PTR').answers).toEqual(['7.1.244.10.in-addr.arpa PTR db-0.db.default.svc.cluster.local']);
    const six = 'a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.1.0.0.0.0.d.f.ip6.arpa';
    expect(ask(six, 'PTR').answers).toEqual([`${six} PTR kube-dns.kube-system.svc.cluster.local`]);
  });

  it('an address behind two headless Services has two reverse names', () => {
    const both = createAsker(
      input({
        services: [service('b', { clusterIP: 'None' }), service('a', { clusterIP: 'None' })],
        endpointSlices: [
          slice('a', [{ addresses: ['10.244.0.3'], hostname: 'x' }]),
          slice('b', [{ addresses: ['10.244.0.3'], hostname: 'x' }]),
        ],
      }),
    );
    expect(both('3.0.244.10.in-addr.arpa', 'PTR').answers.map((row) => row.split(' ')[2])).toEqual([
      'x.a.default.svc.cluster.local',
      'x.b.default.svc.cluster.local',
    ]);
  });

  it('an ExternalName of a Service of ours comes with the target resolved', () => {
    expect(ask('alias.default.svc.cluster.local').answers).toEqual([
      'alias.default.svc.cluster.local CNAME web.default.svc.cluster.local',
      'web.default.svc.cluster.local A 10.96.1.1',
    ]);
  });

  it('an ExternalName of nothing of ours is NXDOMAIN with the CNAME, one elsewhere the CNAME alone', () => {
    const dangling = ask('dangling.default.svc.cluster.local');
    expect(dangling).toMatchObject({
      rcode: 'NXDOMAIN',
      answers: ['dangling.default.svc.cluster.local CNAME gone.default.svc.cluster.local'],
      authorities: [soa],
    });
    expect(ask('out.default.svc.cluster.local')).toMatchObject({
      rcode: 'NOERROR',
      answers: ['out.default.svc.cluster.local CNAME www.example.com'],
      authorities: [],
    });
  });

  it('ExternalNames that point at each other end in SERVFAIL', () => {
    expect(ask('ring-a.default.svc.cluster.local').rcode).toBe('SERVFAIL');
  });
});

describe('negative answers', () => {
  const nodata: [string, string, string][] = [
    ['the other family of a Service', 'single.default.svc', 'AAAA'],
    ['another type at an existing name', 'web.default.svc', 'MX'],
    ['the apex', '', 'A'],
    ['svc', 'svc', 'A'],
    ['pod', 'pod', 'A'],
    ['dns, above the name server', 'dns', 'A'],
    ['a namespace', 'default.svc', 'A'],
    ['a namespace under pod', 'default.pod', 'A'],
    ['_tcp of a Service with a named port', '_tcp.web.default.svc', 'SRV'],
    ['the other family of a pod name', '10-244-1-7.default.pod', 'AAAA'],
    ['a SRV name asked for its address', '_http._tcp.web.default.svc', 'A'],
  ];
  it.each(nodata)('NODATA: %s', (_, name, type) => {
    const { rcode, aa, answers, authorities } = ask(name ? `${name}.cluster.local` : 'cluster.local', type as 'A');
    expect({ rcode, aa, answers, authorities }).toEqual({ rcode: 'NOERROR', aa: true, answers: [], authorities: [soa] });
  });

  const nxdomain: [string, string][] = [
    ['no such Service', 'nothing.default.svc'],
    ['no such namespace', 'web.nowhere.svc'],
    ['a namespace that does not exist', 'nowhere.svc'],
    ['a Service without its cluster IP yet', 'pending.default.svc'],
    ['a headless Service without a ready endpoint', 'empty.default.svc'],
    ['_tcp of a Service without named ports', '_tcp.single.default.svc'],
    ['an endpoint that is not ready', '10-244-2-8.db.default.svc'],
    ['an endpoint name of a Service with a cluster IP', '10-244-1-20.web.default.svc'],
    ['a pod name in a namespace that does not exist', '10-244-1-7.nowhere.pod'],
    ['a pod name that is no address', '10-244-1-300.default.pod'],
    ['a name below a pod name', 'x.10-244-1-7.default.pod'],
    ['a label in front of the apex', 'web'],
    ['a search path doubled', 'web.default.svc.cluster.local.default.svc'],
  ];
  it.each(nxdomain)('NXDOMAIN: %s', (_, name) => {
    const { rcode, aa, answers, authorities } = ask(`${name}.cluster.local`);
    expect({ rcode, aa, answers, authorities }).toEqual({ rcode: 'NXDOMAIN', aa: true, answers: [], authorities: [soa] });
  });

  it('reverse: an unknown address does not exist, the space above a known one does', () => {
    expect(ask('9.9.96.10.in-addr.arpa', 'PTR')).toMatchObject({
      rcode: 'NXDOMAIN',
      authorities: [expect.stringContaining('in-addr.arpa SOA')],
    });
    expect(ask('96.10.in-addr.arpa', 'PTR')).toMatchObject({ rcode: 'NOERROR', answers: [] });
    expect(ask('6.10.in-addr.arpa', 'PTR')).toMatchObject({ rcode: 'NXDOMAIN' });
  });

  it('a name that only ends in the same letters is not of the zone', () => {
    expect(ask('web.default.svc.xcluster.local').rcode).toBe('REFUSED');
    expect(ask('local').rcode).toBe('REFUSED');
    expect(ask('www.example.com')).toMatchObject({ rcode: 'REFUSED', aa: false });
  });

  it('everything is SERVFAIL before the caches have synced', () => {
    const early = createAsker('unsynced');
    for (const name of ['web.default.svc.cluster.local', 'www.example.com'])
      expect(early(name)).toMatchObject({ rcode: 'SERVFAIL', answers: [], authorities: [] });
  });
});

describe('pods', () => {
  it('verified answers only for pods that run', () => {
    const verified = createAsker(input({ pods: [pod('a', '10.244.1.7'), pod('b', '10.244.1.8', 'Succeeded')] }), { pods: 'verified' });
    expect(verified('10-244-1-7.default.pod.cluster.local').answers).toHaveLength(1);
    expect(verified('10-244-1-8.default.pod.cluster.local').rcode).toBe('NXDOMAIN');
    expect(verified('10-244-1-7.kube-system.pod.cluster.local').rcode).toBe('NXDOMAIN');
  });
  it('disabled answers for none', () => {
    expect(createAsker(sampleInput(), { pods: 'disabled' })('10-244-1-7.default.pod.cluster.local').rcode).toBe('NXDOMAIN');
  });
});
