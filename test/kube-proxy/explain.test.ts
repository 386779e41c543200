import { expect, test } from 'vitest';
import { createFakeNft } from '../../src/kernel/fake-nft.ts';
import { attributeLines } from '../../src/kube-proxy/attribution.ts';
import { compareModes } from '../../src/kube-proxy/compare-modes.ts';
import { explainFlow, explanationLines } from '../../src/kube-proxy/explain.ts';
import { compileProxy, nodeFacts, type ProxyOptionsInput, resolveProxyOptions, resolveTraffic } from '../../src/kube-proxy/index.ts';
import { nftablesProgrammer } from '../../src/kube-proxy/programmer.ts';
import type { Service } from '../../src/objects/index.ts';
import { endpoint, node, service, slice } from './objects.ts';

const addresses = ['192.168.88.12'];
const flow = { from: '10.244.1.77', to: '10.96.0.20', port: 80, protocol: 'TCP' as const, in: 'podwire0' };

function arrange(given: Partial<ProxyOptionsInput> = {}, endpoints = ['10.244.1.2', '10.244.2.3'], spec: Partial<Service['spec']> = {}) {
  const options = resolveProxyOptions({ nodeName: 'worker-1', mode: 'nftables', clusterCIDRs: ['10.244.0.0/16'], ...given });
  const input = {
    nodeName: 'worker-1',
    node: node(),
    services: [service({ type: 'NodePort', ports: [{ name: 'http', port: 80, protocol: 'TCP', nodePort: 30_080 }], ...spec })],
    endpointSlices: [
      slice([
        ...endpoints.map((address) => endpoint(address, address.startsWith('10.244.1.') ? 'worker-1' : 'worker-2')),
        endpoint('10.244.2.9', 'worker-2', 'unready'),
      ]),
    ],
  };
  const model = compileProxy(input, 4);
  const facts = nodeFacts('worker-1', node(), 4);
  const programmer = nftablesProgrammer(createFakeNft(), 4, options);
  return { options, model, facts, programmer, rules: programmer.render(model, facts) };
}

test('an explanation puts each endpoint with its odds and reason beside the ways through the rules', () => {
  const { model, facts, options, programmer, rules } = arrange();
  const decision = resolveTraffic(model, flow, { node: facts, options, addresses });
  const ways = programmer.walk(rules, { ...flow, hook: 'prerouting', protocol: 'tcp' }, { addresses });
  const explained = explainFlow(flow, decision, ways);
  expect(explained).toMatchObject({ outcome: 'balanced', by: 'cluster IP', service: 'default/web:http', agrees: true });
  expect(explained.endpoints.map(({ endpoint: text, odds, reason }) => [text, odds, reason])).toEqual([
    ['10.244.1.2:8080', 0.5, 'ready'],
    ['10.244.2.3:8080', 0.5, 'ready'],
    ['10.244.2.9:8080', 0, 'not ready'],
  ]);
  expect(explained.ways.map(({ odds, to }) => [odds, to])).toEqual([
    [0.5, '10.244.1.2:8080'],
    [0.5, '10.244.2.3:8080'],
  ]);
  const text = explanationLines(explained).join('\n');
  expect(text).toContain('source kept');
  expect(text).toMatch(
    /prerouting +podwire-proxy cluster-tcp-2 #2: dnat ip to ip daddr \. tcp dport \. numgen random mod 2 map @backends-tcp/,
  );
});

test('an insider at a node port is under policy Cluster, also when its endpoints happen to be of this node', () => {
  const { model, facts, options, programmer, rules } = arrange({}, ['10.244.1.2'], { externalTrafficPolicy: 'Local' });
  const toNodePort = { ...flow, to: '192.168.88.12', port: 30_080 };
  const setting = { node: facts, options, addresses };
  const explain = (from: string) => {
    const packet = { ...toNodePort, from, hook: 'prerouting', protocol: 'tcp' } as const;
    return explainFlow(
      { ...toNodePort, from },
      resolveTraffic(model, { ...toNodePort, from }, setting),
      programmer.walk(rules, packet, { addresses }),
    );
  };
  expect(explain('10.244.1.77')).toMatchObject({ by: 'node port', policy: 'Cluster', agrees: true });
  expect(explain('192.0.2.9')).toMatchObject({ by: 'node port', policy: 'Local', agrees: true });
});

test('rules that do something else than the Services say are told apart', () => {
  const { model, facts, options, programmer } = arrange();
  const decision = resolveTraffic(model, flow, { node: facts, options, addresses });
  const before = arrange({}, ['10.244.1.2']).rules;
  const explained = explainFlow(flow, decision, programmer.walk(before, { ...flow, hook: 'prerouting', protocol: 'tcp' }, { addresses }));
  expect(explained.agrees).toBe(false);
  expect(explanationLines(explained).at(-1)).toContain('DO NOT DO');
});

test.each([{}, { nftablesLayout: 'compat' }] as const)('each line of a change is told whose it is (%j)', (given) => {
  const { model, programmer, rules } = arrange(given);
  const change = programmer.diff(arrange(given, ['10.244.1.2']).rules, rules);
  const attributed = attributeLines(programmer.lines(change), [model]);
  const own = attributed.find(({ service: name }) => name === 'default/web:http TCP');
  expect(own?.frontends).toEqual(['10.96.0.20:80', '*:30080']);
  expect(own?.lines.some((line) => line.includes('10.244.2.3'))).toBe(true);
});

test('modes are compared by what becomes of packets', () => {
  const { model, facts, options } = arrange();
  const differences = compareModes(model, facts, options, addresses);
  expect(differences.map(({ about }) => about)).toContain('default/web:http TCP: an outsider to a port that the cluster IP has not');
  expect(differences.find(({ about }) => about.endsWith('to the node port by 127.0.0.1'))?.outcomes).toMatchObject({
    'nftables (fast)': 'untouched',
    iptables: expect.stringContaining('balanced'),
  });
  expect(differences.some(({ about }) => about.endsWith('an outsider to the cluster IP'))).toBe(false);
});
