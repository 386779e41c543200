import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseIptablesSave } from '../../src/dataplane/iptables-parse.ts';
import { diffIptables, printRestore } from '../../src/dataplane/iptables-diff.ts';
import { applyNftTransaction } from '../../src/dataplane/nft-apply.ts';
import { diffNftTable } from '../../src/dataplane/nft-diff.ts';
import { createFakeIptables } from '../../src/kernel/fake-iptables.ts';
import {
  compileProxy,
  createNftablesRenderer,
  createProxyCompiler,
  emptyIptables,
  nodeFacts,
  type NodeFacts,
  type ProxyModel,
  proxyOwner,
  renderIptables,
  renderNftables,
  resolveProxyOptions,
  resolveTraffic,
  type TrafficDecision,
  type TrafficSetting,
} from '../../src/kube-proxy/index.ts';
import type { Protocol } from '../../src/net/index.ts';
import type { EndpointSlice, Service } from '../../src/objects/index.ts';
import { type Outcome, type Packet, walkNftOutcomes, walkOutcomes } from '../../src/packet-walk/index.ts';
import { endpoint, node, slice } from './objects.ts';

// Small ranges, so that collisions happen: two services with one external address, a port asked for under another protocol, a pod as the client.
const protocols = ['TCP', 'UDP', 'SCTP'] as const;
const ports = [80, 443] as const;
const nodeAddresses = ['192.168.88.12', '10.244.1.1'];
const external = ['203.0.113.7', '203.0.113.8'];
const pods = ['10.244.1.2', '10.244.1.3', '10.244.2.2', '10.244.2.3'];

const servicePlan = fc.record({
  type: fc.constantFrom('ClusterIP', 'NodePort', 'LoadBalancer'),
  protocol: fc.constantFrom(...protocols),
  port: fc.constantFrom(...ports),
  internalTrafficPolicy: fc.constantFrom('Cluster', 'Local'),
  externalTrafficPolicy: fc.constantFrom('Cluster', 'Local'),
  sessionAffinity: fc.constantFrom('None', 'ClientIP'),
  externalIPs: fc.subarray(external),
  ingress: fc.subarray(['203.0.113.9']),
  sourceRanges: fc.subarray(['198.51.100.0/24', '192.168.88.0/24']),
  endpoints: fc.uniqueArray(
    fc.record({
      address: fc.constantFrom(...pods),
      state: fc.constantFrom('ready', 'ready', 'unready', 'serving-terminating', 'terminating'),
    }),
    { selector: ({ address }) => address, maxLength: 4 },
  ),
});

const optionsPlan = fc.record({
  masqueradeAll: fc.boolean(),
  localhostNodePorts: fc.boolean(),
  clusterCIDRs: fc.constantFrom<string[]>(['10.244.0.0/16'], []),
  nodePortAddresses: fc.constantFrom<string[]>([], ['192.168.88.0/24'], ['127.0.0.0/8', '10.244.1.0/24'], ['primary'], ['0.0.0.0/0']),
});

const flowPlan = fc.record({
  from: fc.constantFrom(...pods, ...nodeAddresses, '198.51.100.5', '192.168.88.99', '203.0.113.9', '127.0.0.1'),
  to: fc.constantFrom('10.96.0.0', '10.96.0.1', '10.96.0.2', '10.96.9.9', ...external, '203.0.113.9', ...nodeAddresses, '127.0.0.1'),
  port: fc.constantFrom(...ports, 30_000, 30_001, 30_002),
  protocol: fc.constantFrom(...protocols),
});

type ServicePlan = typeof servicePlan extends fc.Arbitrary<infer T> ? T : never;

function objectsOf(plans: readonly ServicePlan[]): { services: Service[]; endpointSlices: EndpointSlice[] } {
  const services = plans.map(
    (plan, index): Service => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: `s${index}`, namespace: 'default' },
      spec: {
        type: plan.type as 'ClusterIP',
        clusterIP: `10.96.0.${index}`,
        ports: [
          { name: 'http', port: plan.port, protocol: plan.protocol, ...(plan.type === 'ClusterIP' ? {} : { nodePort: 30_000 + index }) },
        ],
        internalTrafficPolicy: plan.internalTrafficPolicy as 'Cluster',
        externalTrafficPolicy: plan.externalTrafficPolicy as 'Cluster',
        sessionAffinity: plan.sessionAffinity as 'None',
        externalIPs: plan.externalIPs,
        loadBalancerSourceRanges: plan.sourceRanges,
      },
      status: { loadBalancer: { ingress: plan.ingress.map((ip) => ({ ip })) } },
    }),
  );
  const endpointSlices = plans.map((plan, index) =>
    slice(
      plan.endpoints.map(({ address, state }) =>
        endpoint(address, address.startsWith('10.244.1.') ? 'worker-1' : 'worker-2', state as 'ready'),
      ),
      { ports: [{ name: 'http', port: 8080, protocol: plan.protocol }] },
      `s${index}-1`,
      `s${index}`,
    ),
  );
  return { services, endpointSlices };
}

/** What an observer of the packets would write down. */
interface Observed {
  readonly verdict: string;
  readonly ways: readonly { readonly to: string; readonly masquerade: boolean; readonly odds: number }[];
}

function byModel(decision: TrafficDecision): Observed {
  const verdict = { balanced: 'dnat', rejected: 'reject', dropped: 'drop', untouched: 'accept' }[decision.outcome];
  return { verdict, ways: decision.backends.map(({ text, masquerade }) => ({ to: text, masquerade, odds: 1 / decision.backends.length })) };
}

function byWalk(outcomes: ReturnType<typeof walkOutcomes>): Observed {
  const [first] = outcomes;
  const ways = outcomes.flatMap(({ result, probability }) =>
    result.verdict === 'dnat' ? [{ to: result.to, masquerade: result.masquerade, odds: probability }] : [],
  );
  return { verdict: first!.result.verdict, ways };
}

const close = (observed: Observed): unknown => ({
  ...observed,
  ways: [...observed.ways].sort((a, b) => (a.to < b.to ? -1 : 1)).map((way) => ({ ...way, odds: way.odds.toFixed(6) })),
});

test('for random services and packets the rules do what the model says', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(servicePlan, { maxLength: 3 }),
      optionsPlan,
      fc.array(flowPlan, { minLength: 20, maxLength: 20 }),
      async (plans, settings, flows) => {
        const options = resolveProxyOptions({ nodeName: 'worker-1', ...settings });
        const { model, facts } = compiled(plans);
        const desired = renderIptables(model, facts, options);
        // What is walked is what iptables-save shows after the restore.
        const kernel = createFakeIptables();
        await kernel.run('iptables-restore', ['--noflush'], {
          input: printRestore(diffIptables(emptyIptables(4), desired, proxyOwner(4, options))!),
        });
        const rules = parseIptablesSave(4, (await kernel.run('iptables-save', [])).stdout);
        expect(diffIptables(rules, desired, proxyOwner(4, options))).toBeUndefined();
        compare(flows, model, { node: facts, options, addresses: nodeAddresses }, (packet) =>
          walkOutcomes(rules, packet, { addresses: nodeAddresses }),
        );
      },
    ),
    { numRuns: 500 },
  );
});

test.each(['fast', 'compat'] as const)(
  'for random services and packets the nftables rules of layout %s do what the model says',
  (layout) => {
    fc.assert(
      fc.property(
        fc.array(servicePlan, { maxLength: 3 }),
        fc.array(servicePlan, { maxLength: 3 }),
        optionsPlan,
        fc.constantFrom<string[]>([], ['10.96.0.0/16']),
        fc.array(flowPlan, { minLength: 20, maxLength: 20 }),
        (before, plans, settings, serviceCIDRs, flows) => {
          const options = resolveProxyOptions({
            nodeName: 'worker-1',
            mode: 'nftables',
            nftablesLayout: layout,
            serviceCIDRs,
            ...settings,
          });
          const { model, facts } = compiled(plans);
          const desired = renderNftables(model, facts, options, layout);
          // What is walked is what the kernel holds after it was changed from other services to these.
          const earlier = renderNftables(compiled(before).model, facts, options, layout);
          const change = diffNftTable(earlier, desired);
          const table = change ? applyNftTransaction(earlier, change) : earlier;
          expect(diffNftTable(table, desired)).toBeUndefined();
          compare(flows, model, { node: facts, options, addresses: nodeAddresses }, (packet) =>
            walkNftOutcomes([table!], packet, { addresses: nodeAddresses }),
          );
        },
      ),
      { numRuns: 500 },
    );
  },
);

test.each(['fast', 'compat'] as const)('after any sequence of changes the nftables rules of layout %s are those made anew', (layout) => {
  fc.assert(
    fc.property(changesPlan, optionsPlan, (changes, settings) => {
      const states = changes.reduce<ServicePlan[][]>(
        (made, { at, now }) => [...made, now === undefined ? [] : mutated(made.at(-1) ?? [], at, now)],
        [],
      );
      const options = resolveProxyOptions({ nodeName: 'worker-1', mode: 'nftables', nftablesLayout: layout, ...settings });
      const compile = createProxyCompiler(4);
      const render = createNftablesRenderer(options, layout);
      const facts = nodeFacts('worker-1', node(), 4);
      let kept: ReturnType<typeof objectsOf> = { services: [], endpointSlices: [] };
      for (const plans of states) {
        // As an informer has it: what has not changed is the same object.
        const fresh = objectsOf(plans);
        const same = <T>(now: readonly T[], before: readonly T[]): T[] =>
          now.map((each) => before.find((old) => JSON.stringify(old) === JSON.stringify(each)) ?? each);
        kept = { services: same(fresh.services, kept.services), endpointSlices: same(fresh.endpointSlices, kept.endpointSlices) };
        const model = compile({ nodeName: 'worker-1', node: node(), ...kept });
        expect(model).toEqual(compiled(plans).model);
        const table = render(model, facts);
        const anew = renderNftables(compiled(plans).model, facts, options, layout);
        expect(diffNftTable(table, anew)).toBeUndefined();
        expect(diffNftTable(anew, table)).toBeUndefined();
      }
    }),
    { numRuns: 150 },
  );
});

/** Mostly other endpoints for a service that stays; now and then another service, or none at all. */
const changesPlan = fc.array(
  fc.record({
    at: fc.nat(2),
    now: fc.option(
      fc.oneof({ weight: 3, arbitrary: servicePlan.map(({ endpoints }) => ({ endpoints })) }, { weight: 1, arbitrary: servicePlan }),
      {
        nil: undefined,
        freq: 20,
      },
    ),
  }),
  { minLength: 4, maxLength: 10 },
);

function mutated(plans: readonly ServicePlan[], at: number, now: Partial<ServicePlan>): ServicePlan[] {
  const base = plans[at] ?? {
    type: 'ClusterIP',
    protocol: 'TCP',
    port: 80,
    internalTrafficPolicy: 'Cluster',
    externalTrafficPolicy: 'Cluster',
  };
  const plan = { sessionAffinity: 'None', externalIPs: [], ingress: [], sourceRanges: [], endpoints: [], ...base, ...now } as ServicePlan;
  return at < plans.length ? plans.with(at, plan) : [...plans, plan];
}

function compiled(plans: readonly ServicePlan[]): { model: ProxyModel; facts: NodeFacts } {
  return {
    model: compileProxy({ nodeName: 'worker-1', node: node(), ...objectsOf(plans) }, 4),
    facts: nodeFacts('worker-1', node(), 4),
  };
}

function compare(
  flows: readonly (typeof flowPlan extends fc.Arbitrary<infer T> ? T : never)[],
  model: ProxyModel,
  setting: TrafficSetting,
  walk: (packet: Packet) => Outcome[],
): void {
  const own = [...nodeAddresses, '127.0.0.1'];
  for (const flow of flows) {
    const { from, to, port, protocol } = flow;
    const hook = own.includes(from) ? 'output' : 'prerouting';
    const walked = walk({ hook, from, to, port, protocol: protocol.toLowerCase() });
    const decided = resolveTraffic(model, { ...flow, protocol: protocol as Protocol }, setting);
    expect({ flow, ...(close(byWalk(walked)) as object) }).toEqual({ flow, ...(close(byModel(decided)) as object) });
  }
}
