import { describe, expect, test } from 'vitest';
import { renderIptables, renderIpvs, renderNftables, resolveTraffic } from '../../src/kube-proxy/index.ts';
import { type Outcome, type Packet, walkIpvsOutcomes, walkNftOutcomes, walkOutcomes } from '../../src/packet-walk/index.ts';
import { arrange, flowOf, variants } from './scenario-objects.ts';
import { scenarios } from './scenarios.ts';

function walkRules({ options, model, facts, addresses }: ReturnType<typeof arrange>, packet: Packet): Outcome[] {
  if (options.mode === 'iptables') return walkOutcomes(renderIptables(model, facts, options), packet, { addresses });
  if (options.mode === 'ipvs') return walkIpvsOutcomes(renderIpvs(model, facts, options, addresses), packet, { addresses });
  return walkNftOutcomes([renderNftables(model, facts, options, options.nftablesLayout)], packet, { addresses });
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
      const packet: Packet = {
        hook: scenario.from.startsWith('node') ? 'output' : 'prerouting',
        ...flow,
        protocol: flow.protocol.toLowerCase(),
      };
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
