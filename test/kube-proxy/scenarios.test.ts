import { describe, expect, test } from 'vitest';
import {
  compileProxy,
  nodeFacts,
  renderIptables,
  renderNftables,
  resolveProxyOptions,
  resolveTraffic,
} from '../../src/kube-proxy/index.ts';
import { joinHostPort } from '../../src/net/index.ts';
import { type Outcome, type Packet, walkNftOutcomes, walkOutcomes } from '../../src/packet-walk/index.ts';
import { endpoint, node, service, slice } from './objects.ts';
import { type Backing, type Scenario, scenarios } from './scenarios.ts';

type Family = 4 | 6;
const pick = (family: Family, v4: string, v6: string): string => (family === 4 ? v4 : v6);
const destinations = {
  clusterIP: ['10.96.0.20', 'fd00:10:96::20'],
  externalIP: ['203.0.113.7', '2001:db8::7'],
  loadBalancerIP: ['203.0.113.9', '2001:db8::9'],
  proxyModeIP: ['203.0.113.10', '2001:db8::10'],
  nodeIP: ['192.168.88.12', 'fd00:88::12'],
  secondIP: ['10.244.1.1', 'fd00:10:244:1::1'],
  localhost: ['127.0.0.1', '::1'],
} as const;
const origins = {
  pod: ['10.244.1.77', 'fd00:10:244:1::77', 'podwire0'],
  otherPod: ['10.244.2.77', 'fd00:10:244:2::77', 'eth0'],
  backend: ['10.244.1.2', 'fd00:10:244:1::2', 'podwire0'],
  node: ['192.168.88.12', 'fd00:88::12', undefined],
  outsider: ['192.0.2.5', '2001:db8:52::5', 'eth0'],
  allowed: ['198.51.100.5', '2001:db8:51::5', 'eth0'],
} as const;
const defaultEndpoints: readonly Backing[] = [{ here: true }, { here: false }, { here: false }];

/** How the kernel is programmed. */
const variants = [
  { mode: 'iptables' },
  { mode: 'nftables', nftablesLayout: 'fast' },
  { mode: 'nftables', nftablesLayout: 'compat' },
] as const;
type Variant = (typeof variants)[number];

function arrange(scenario: Scenario, family: Family, variant: Variant = { mode: 'iptables' }) {
  const { clusterIP, loadBalancerIP, proxyModeIP } = destinations;
  const backings = scenario.endpoints ?? defaultEndpoints;
  const addressOf = (backing: Backing, index: number): string =>
    pick(family, `10.244.${backing.here ? 1 : 2}.${index + 2}`, `fd00:10:244:${backing.here ? 1 : 2}::${index + 2}`);
  const ports = [{ name: 'http', port: 8080, protocol: scenario.protocol ?? 'TCP' }];
  const services = [
    service(
      { clusterIP: clusterIP[0], clusterIPs: [...clusterIP], ...scenario.spec },
      { ...(scenario.labels ? { labels: scenario.labels } : {}) },
      {
        loadBalancer: {
          ingress: [...loadBalancerIP.map((ip) => ({ ip })), ...proxyModeIP.map((ip) => ({ ip, ipMode: 'Proxy' as const }))],
        },
      },
    ),
  ];
  const endpointSlices = [
    slice(
      backings.map((backing, index) =>
        endpoint(
          addressOf(backing, index),
          backing.here ? 'worker-1' : 'worker-2',
          backing.state,
          backing.hints ? { hints: backing.hints } : {},
        ),
      ),
      { addressType: `IPv${family}`, ports },
    ),
  ];
  const options = resolveProxyOptions({
    nodeName: 'worker-1',
    clusterCIDRs: ['10.244.0.0/16', 'fd00:10:244::/56'],
    ...variant,
    ...scenario.options,
  });
  const on = node('worker-1', scenario.zone);
  const model = compileProxy({ nodeName: 'worker-1', node: on, services, endpointSlices }, family);
  const facts = nodeFacts('worker-1', on, family);
  const addresses = [destinations.nodeIP, destinations.secondIP].map(([v4, v6]) => pick(family, v4, v6));
  const wanted = { ...scenario, ...(variant.mode === 'nftables' ? scenario.nftables : {}) };
  const expected =
    wanted.outcome === 'dnat' ? (wanted.backends ?? []).map((index) => joinHostPort(addressOf(backings[index]!, index), 8080)).sort() : [];
  return { options, model, facts, addresses, expected, wanted };
}

function walkRules({ options, model, facts, addresses }: ReturnType<typeof arrange>, packet: Packet): Outcome[] {
  if (options.mode === 'iptables') return walkOutcomes(renderIptables(model, facts, options), packet, { addresses });
  return walkNftOutcomes([renderNftables(model, facts, options, options.nftablesLayout)], packet, { addresses });
}

function flowOf({ from, to, port = 80, protocol = 'TCP' }: Scenario, family: Family) {
  const [v4, v6, link] = origins[from];
  // A process that connects to a loopback address does so from it.
  const source = from === 'node' && to === 'localhost' ? pick(family, '127.0.0.1', '::1') : pick(family, v4, v6);
  return { from: source, to: destinations[to][family === 4 ? 0 : 1], port, protocol, ...(link ? { in: link } : {}) };
}

describe.each([4, 6] as const)('IPv%i', (family) => {
  describe.each(scenarios.filter(({ only }) => only === undefined || only === family))('$title', (scenario) => {
    const flow = flowOf(scenario, family);
    const titled = variants.map((variant) => [Object.values(variant).join(' '), variant] as const);

    test.each(titled)('in the model of %s', (_title, variant) => {
      const { options, model, facts, addresses, expected, wanted } = arrange(scenario, family, variant);
      const decision = resolveTraffic(model, flow, { node: facts, options, addresses });
      expect(decision.outcome).toBe({ dnat: 'balanced', accept: 'untouched', drop: 'dropped', reject: 'rejected' }[wanted.outcome]);
      expect(decision.backends.map(({ text }) => text).sort()).toEqual(expected);
      for (const backend of decision.backends) expect(backend.masquerade).toBe(wanted.masquerade);
    });

    test.each(titled)('in the rules of %s', (_title, variant) => {
      const arranged = arrange(scenario, family, variant);
      const { expected, wanted } = arranged;
      const packet: Packet = { hook: scenario.from === 'node' ? 'output' : 'prerouting', ...flow, protocol: flow.protocol.toLowerCase() };
      const outcomes = walkRules(arranged, packet);
      for (const { result, probability } of outcomes) {
        expect(result.verdict).toBe(wanted.outcome);
        if (result.verdict !== 'dnat') continue;
        expect(result.masquerade).toBe(wanted.masquerade);
        expect(probability).toBeCloseTo(1 / expected.length, 6);
      }
      if (wanted.outcome === 'dnat') expect(outcomes.map(({ result }) => result.to).sort()).toEqual(expected);
    });
  });
});

test('a client with affinity keeps its endpoint until the timeout has passed since its last connection', async () => {
  const { walkPacket } = await import('../../src/packet-walk/index.ts');
  const { model, facts, options } = arrange(
    {
      title: '',
      spec: { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } },
      from: 'pod',
      to: 'clusterIP',
      outcome: 'dnat',
    },
    4,
  );
  const rules = renderIptables(model, facts, options);
  const recent = new Map<string, Map<string, number>>();
  const connect = (now: number, first: boolean, from = '10.244.1.77') => {
    let asked = false;
    const choose = (): boolean => {
      const choice = first || asked;
      asked = true;
      return choice;
    };
    return walkPacket(
      rules,
      { hook: 'prerouting', from, to: '10.96.0.20', port: 80, protocol: 'tcp' },
      { addresses: [], recent, now, choose },
    ).to;
  };
  expect(connect(0, false)).toBe('10.244.2.3:8080');
  expect(connect(50, true)).toBe('10.244.2.3:8080');
  expect(connect(50, true, '10.244.1.78')).toBe('10.244.1.2:8080');
  expect(connect(105, true)).toBe('10.244.2.3:8080');
  expect(connect(166, true)).toBe('10.244.1.2:8080');
});
