import fc from 'fast-check';
import { expect, it } from 'vitest';
import { tryParseAddress, tryParsePrefix, prefixContains } from '../../src/net/index.ts';
import {
  matchesLabelSelector,
  type LabelSelector,
  type NetworkPolicy,
  type NetworkPolicyPeer,
  type NetworkPolicyPort,
  type Pod,
} from '../../src/objects/index.ts';
import { compileNetpol, type NetpolInput, renderNft } from '../../src/netpol/index.ts';
import { printNftTransaction } from '../../src/dataplane/nft-print.ts';
import { diffNftTable } from '../../src/dataplane/nft-diff.ts';
import { createWalker, input, namespace, pod, policy } from './fixtures.ts';

// The semantics a second time, straight from the objects and one packet at a time, with nothing of the compiler in it.

interface Packet {
  from: string;
  to: string;
  protocol: 'TCP' | 'UDP' | 'SCTP';
  port: number;
}

const live = (each: Pod): boolean => !each.spec.hostNetwork && each.status?.phase === 'Running';
const holderOf = (cluster: NetpolInput, ip: string): Pod | undefined =>
  [...cluster.pods].find((each) => live(each) && each.status?.podIPs?.some((own) => own.ip === ip));

function isPeer(cluster: NetpolInput, policyNamespace: string, peer: NetworkPolicyPeer, ip: string): boolean {
  const address = tryParseAddress(ip)!;
  if (peer.ipBlock) {
    const inside = (cidr: string): boolean => prefixContains(tryParsePrefix(cidr)!, address);
    return inside(peer.ipBlock.cidr) && !(peer.ipBlock.except ?? []).some(inside);
  }
  const who = holderOf(cluster, ip);
  if (!who) return false;
  const labels = [...cluster.namespaces].find(({ metadata }) => metadata.name === who.metadata.namespace)?.metadata.labels ?? {};
  const rightNamespace = peer.namespaceSelector
    ? matchesLabelSelector(peer.namespaceSelector, labels)
    : who.metadata.namespace === policyNamespace;
  return rightNamespace && matchesLabelSelector(peer.podSelector ?? {}, who.metadata.labels);
}

function isPort(cluster: NetpolInput, item: NetworkPolicyPort, packet: Packet): boolean {
  if ((item.protocol ?? 'TCP') !== packet.protocol) return false;
  if (item.port === undefined) return true;
  if (typeof item.port === 'number') return packet.port >= item.port && packet.port <= (item.endPort ?? item.port);
  const ports = holderOf(cluster, packet.to)?.spec.containers.flatMap((container) => container.ports ?? []) ?? [];
  return ports.some(
    ({ name, containerPort, protocol = 'TCP' }) => name === item.port && containerPort === packet.port && protocol === packet.protocol,
  );
}

function side(cluster: NetpolInput, type: 'Ingress' | 'Egress', packet: Packet): boolean {
  const [own, other] = type === 'Ingress' ? [packet.to, packet.from] : [packet.from, packet.to];
  const subject = holderOf(cluster, own);
  if (!subject || subject.spec.nodeName !== cluster.nodeName) return true;
  const applying = [...cluster.policies].filter(({ metadata, spec }) => {
    const types = spec?.policyTypes ?? (spec?.egress?.length ? ['Ingress', 'Egress'] : ['Ingress']);
    return (
      metadata.namespace === subject.metadata.namespace &&
      types.includes(type) &&
      matchesLabelSelector(spec?.podSelector, subject.metadata.labels)
    );
  });
  if (applying.length === 0 || own === other) return true;
  return applying.some(({ metadata, spec }) => {
    const rules: { peers: NetworkPolicyPeer[] | undefined; ports: NetworkPolicyPort[] | undefined }[] =
      type === 'Ingress'
        ? (spec?.ingress ?? []).map(({ from, ports }) => ({ peers: from, ports }))
        : (spec?.egress ?? []).map(({ to, ports }) => ({ peers: to, ports }));
    return rules.some(
      ({ peers, ports }) =>
        (!peers?.length || peers.some((peer) => isPeer(cluster, metadata.namespace!, peer, other))) &&
        (!ports?.length || ports.some((item) => isPort(cluster, item, packet))),
    );
  });
}

const isAllowed = (cluster: NetpolInput, packet: Packet): boolean => side(cluster, 'Egress', packet) && side(cluster, 'Ingress', packet);

const labels = fc.dictionary(fc.constantFrom('app', 'tier'), fc.constantFrom('1', '2'), { maxKeys: 2 });
const selector: fc.Arbitrary<LabelSelector> = fc.oneof(
  fc.constant({}),
  labels.map((matchLabels) => ({ matchLabels })),
  fc
    .record({
      key: fc.constantFrom('app', 'tier'),
      operator: fc.constantFrom('In' as const, 'NotIn' as const),
      values: fc.subarray(['1', '2'], { minLength: 1 }),
    })
    .map((requirement) => ({ matchExpressions: [requirement] })),
  fc
    .record({ key: fc.constantFrom('app', 'tier'), operator: fc.constantFrom('Exists' as const, 'DoesNotExist' as const) })
    .map((requirement) => ({ matchExpressions: [requirement] })),
);
const namespaces = ['n1', 'n2'];
const addresses = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5', '10.0.0.6'];
const six = (ip: string): string => `fd00::${ip.split('.')[3]}`;
const cidr = fc.oneof(
  fc.constantFrom(
    '0.0.0.0/0',
    '10.0.0.0/30',
    '10.0.0.2/31',
    '10.0.0.4/30',
    '10.0.0.5/32',
    '::/0',
    'fd00::2/127',
    'fd00::4/126',
    '192.0.2.0/24',
  ),
);
const ipBlock = fc.record({ cidr, except: fc.array(cidr, { maxLength: 3 }) }).map(({ cidr: block, except }) => ({
  ipBlock: { cidr: block, except: except.filter((each) => each.includes(':') === block.includes(':')) },
}));
const peer: fc.Arbitrary<NetworkPolicyPeer> = fc.oneof(
  selector.map((podSelector) => ({ podSelector })),
  selector.map((namespaceSelector) => ({ namespaceSelector })),
  fc.record({ podSelector: selector, namespaceSelector: selector }),
  ipBlock,
);
const protocol = fc.constantFrom('TCP' as const, 'UDP' as const, 'SCTP' as const);
const port: fc.Arbitrary<NetworkPolicyPort> = fc.oneof(
  fc.record({ protocol }),
  fc.record({ protocol, port: fc.integer({ min: 1, max: 6 }) }),
  fc.record({ port: fc.constantFrom('web', 'dns'), protocol }),
  fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 0, max: 3 })).map(([first, more]) => ({ port: first, endPort: first + more })),
);
const peersAndPorts = <K extends string>(key: K) =>
  fc.record(
    { [key]: fc.array(peer, { maxLength: 2 }), ports: fc.array(port, { maxLength: 2 }) } as {
      [P in K]: fc.Arbitrary<NetworkPolicyPeer[]>;
    } & { ports: fc.Arbitrary<NetworkPolicyPort[]> },
    { requiredKeys: [] },
  );
const onePolicy = (index: number): fc.Arbitrary<NetworkPolicy> =>
  fc
    .record(
      {
        podSelector: selector,
        ingress: fc.array(peersAndPorts('from'), { maxLength: 2 }),
        egress: fc.array(peersAndPorts('to'), { maxLength: 2 }),
        policyTypes: fc.subarray(['Ingress' as const, 'Egress' as const], { minLength: 1 }),
        where: fc.constantFrom(...namespaces),
      },
      { requiredKeys: ['podSelector', 'where'] },
    )
    .map(({ where, ...spec }) => policy(`${where}/p${index}`, spec as NonNullable<NetworkPolicy['spec']>));
const onePod = (index: number): fc.Arbitrary<Pod> =>
  fc
    .record({
      ns: fc.constantFrom(...namespaces),
      labels,
      node: fc.constantFrom('node1', 'node1', 'node2'),
      hostNetwork: fc.constantFrom(false, false, false, true),
      phase: fc.constantFrom('Running' as const, 'Running' as const, 'Running' as const, 'Failed' as const),
      web: fc.integer({ min: 1, max: 6 }),
      dns: fc.integer({ min: 1, max: 6 }),
    })
    .map(({ ns, labels: own, web, dns, ...more }) =>
      pod(`${ns}/pod${index}`, [addresses[index]!, six(addresses[index]!)], own, {
        ...more,
        ports: [
          { name: 'web', containerPort: web },
          { name: 'dns', containerPort: dns, protocol: 'UDP' },
        ],
      }),
    );
export const cluster: fc.Arbitrary<NetpolInput> = fc
  .record({
    pods: fc.tuple(...addresses.map((_, index) => onePod(index))),
    policies: fc.tuple(...[0, 1, 2].map(onePolicy)),
    labels: fc.tuple(labels, labels),
  })
  .map(({ pods, policies, labels: own }) =>
    input(policies, { pods, namespaces: namespaces.map((name, index) => namespace(name, own[index]!)) }),
  );
const packet: fc.Arbitrary<Packet> = fc
  .record({
    from: fc.constantFrom(...addresses, '192.0.2.9'),
    to: fc.constantFrom(...addresses, '192.0.2.9'),
    family: fc.constantFrom(4, 6),
    protocol,
    port: fc.integer({ min: 1, max: 9 }),
  })
  .map(({ family, from, to, ...more }) => ({ ...more, from: family === 6 ? six(from) : from, to: family === 6 ? six(to) : to }));

it('the rules decide every packet as the semantics do', () => {
  fc.assert(
    fc.property(cluster, fc.array(packet, { minLength: 20, maxLength: 40 }), (state, packets) => {
      const { allows } = createWalker(state);
      for (const each of packets) {
        const decided = allows(each.from, each.to, each.port, each.protocol.toLowerCase());
        if (decided !== isAllowed(state, each)) throw new Error(`${JSON.stringify(each)}: rules say ${decided}`);
      }
    }),
    { numRuns: 400 },
  );
});

it('the rules depend on the objects, not on their order', () => {
  fc.assert(
    fc.property(cluster, (state) => {
      const turned: NetpolInput = {
        ...state,
        pods: [...state.pods].reverse(),
        policies: [...state.policies].reverse(),
        namespaces: [...state.namespaces].reverse(),
      };
      const text = (each: NetpolInput): string => printNftTransaction(diffNftTable(undefined, renderNft(compileNetpol(each), 't'))!);
      expect(text(turned)).toBe(text(state));
    }),
    { numRuns: 100 },
  );
});
