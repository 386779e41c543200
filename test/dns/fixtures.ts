import { decode, type DecodedPacket, encode, type Packet, type Question } from 'dns-packet';
import { createResponder, createZoneCompiler, type DnsInput, dnsOptions, type DnsOptions, type DnsTransport } from '../../src/dns/index.ts';
import type { Endpoint, EndpointPort, EndpointSlice, Namespace, Pod, Service, ServiceSpec } from '../../src/objects/index.ts';

export const namespace = (name: string): Namespace => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });

export const service = (name: string, spec: ServiceSpec, ns = 'default'): Service => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: ns },
  spec,
});

export const slice = (
  of: string,
  endpoints: Endpoint[],
  ports: EndpointPort[] = [],
  { ns = 'default', suffix = 'a', family = 'IPv4' as 'IPv4' | 'IPv6' } = {},
): EndpointSlice => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: `${of}-${suffix}`, namespace: ns, labels: { 'kubernetes.io/service-name': of } },
  addressType: family,
  endpoints,
  ports,
});

export const pod = (name: string, ip: string, phase: 'Running' | 'Succeeded' = 'Running', ns = 'default'): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: ns },
  spec: { containers: [] },
  status: { phase, podIPs: [{ ip }] },
});

export const input = (parts: Partial<DnsInput> = {}): DnsInput => ({
  services: [],
  endpointSlices: [],
  namespaces: [namespace('default'), namespace('kube-system')],
  pods: [],
  serial: 7,
  serverAddresses: ['192.168.88.11'],
  ...parts,
});

/** A small cluster with every kind of Service in it. */
export const sampleInput = (): DnsInput =>
  input({
    services: [
      service('kube-dns', { clusterIP: '10.96.0.10', clusterIPs: ['10.96.0.10', 'fd00:10:96::a'] }, 'kube-system'),
      service('web', {
        clusterIP: '10.96.1.1',
        clusterIPs: ['10.96.1.1', 'fd00:10:96::1:1'],
        ports: [
          { name: 'http', port: 80 },
          { name: 'dns', port: 53, protocol: 'UDP' },
        ],
      }),
      service('single', { clusterIP: '10.96.1.2', ports: [{ port: 80 }] }),
      service('pending', { clusterIP: '' }),
      service('db', { clusterIP: 'None', ports: [{ name: 'sql', port: 5432 }] }),
      service('empty', { clusterIP: 'None' }),
      service('early', { clusterIP: 'None', publishNotReadyAddresses: true }),
      service('out', { type: 'ExternalName', externalName: 'www.example.com' }),
      service('alias', { type: 'ExternalName', externalName: 'web.default.svc.cluster.local' }),
      service('dangling', { type: 'ExternalName', externalName: 'gone.default.svc.cluster.local.' }),
      service('ring-a', { type: 'ExternalName', externalName: 'ring-b.default.svc.cluster.local' }),
      service('ring-b', { type: 'ExternalName', externalName: 'ring-a.default.svc.cluster.local' }),
    ],
    endpointSlices: [
      slice(
        'db',
        [
          { addresses: ['10.244.1.7'], hostname: 'db-0', conditions: { ready: true } },
          { addresses: ['10.244.2.7'], conditions: { ready: true } },
          { addresses: ['10.244.2.8'], conditions: { ready: false } },
        ],
        [{ name: 'sql', port: 5433, protocol: 'TCP' }],
      ),
      slice(
        'db',
        [{ addresses: ['fd00:10:244:1::7'], hostname: 'db-0' }, { addresses: ['fd00:10:244:2::7'] }],
        [{ name: 'sql', port: 5433 }],
        { suffix: 'six', family: 'IPv6' },
      ),
      slice('empty', [{ addresses: ['10.244.1.9'], conditions: { ready: false } }]),
      slice('early', [{ addresses: ['10.244.1.10'], conditions: { ready: false } }]),
      slice('web', [{ addresses: ['10.244.1.20'] }], [{ name: 'http', port: 8080 }]),
    ],
  });

export interface Answered {
  readonly rcode: string;
  readonly aa: boolean;
  readonly tc: boolean;
  /** `NAME TYPE DATA`, sorted. */
  readonly answers: readonly string[];
  readonly authorities: readonly string[];
  readonly additionals: readonly string[];
  readonly packet: DecodedPacket;
  readonly bytes: Buffer;
}

// biome-ignore lint: records of the oracle are a union too wide to narrow here
const render = (record: any): string => {
  const { name, type, data } = record;
  if (type === 'SRV') return `${name} SRV ${data.priority} ${data.weight} ${data.port} ${data.target}`;
  if (type === 'SOA') return `${name} SOA ${data.mname} ${data.rname} ${data.serial} ${data.minimum}`;
  if (type === 'TXT') return `${name} TXT ${data.map(String).join('|')}`;
  return `${name} ${type} ${data}`;
};

export function decodeAnswer(bytes: Buffer): Answered {
  const packet = decode(bytes);
  const plain = (records: DecodedPacket['answers']): string[] =>
    (records ?? [])
      .filter(({ type }) => type !== 'OPT')
      .map(render)
      .sort();
  return {
    // biome-ignore lint: the oracle sets rcode, its types do not say so
    rcode: (packet as any).rcode,
    aa: packet.flag_aa,
    tc: packet.flag_tc,
    answers: plain(packet.answers),
    authorities: plain(packet.authorities),
    additionals: plain(packet.additionals),
    packet,
    bytes,
  };
}

export const encodeRequest = (name: string, type: Question['type'], more: Partial<Packet> = {}): Buffer =>
  encode({ type: 'query', id: 4711, flags: 0x100, questions: [{ name, type }], ...more });

/** Asks a zone made of the input directly, without sockets. */
export function createAsker(from: DnsInput | 'unsynced' = sampleInput(), given: Partial<DnsOptions> = {}) {
  const options = dnsOptions(given);
  const responder = createResponder(options, false);
  const zone = from === 'unsynced' ? undefined : createZoneCompiler(options)(from);
  return (name: string, type: Question['type'] = 'A', more: Partial<Packet> = {}, transport: DnsTransport = 'udp'): Answered => {
    const outcome = responder.answer(zone, encodeRequest(name, type, more), transport);
    if (outcome.kind !== 'reply') throw new Error(`outcome ${outcome.kind}`);
    return decodeAnswer(outcome.bytes);
  };
}
