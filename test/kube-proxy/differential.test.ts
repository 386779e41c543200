import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseIptablesSave } from '../../src/dataplane/iptables-parse.ts';
import { applyIptables } from '../../src/dataplane/iptables-apply.ts';
import { diffIptables, printRestore } from '../../src/dataplane/iptables-diff.ts';
import { applyNftTransaction } from '../../src/dataplane/nft-apply.ts';
import { diffNftTable } from '../../src/dataplane/nft-diff.ts';
import { diffDirector, type DirectorChange, type IpvsDirector, printDirectorChange } from '../../src/dataplane/ipvs-director.ts';
import { createFakeIptables } from '../../src/kernel/fake-iptables.ts';
import { createFakeIpvs } from '../../src/kernel/fake-ipvs.ts';
import {
  compileProxy,
  createIpvsRenderer,
  createIptablesRenderer,
  createNftablesRenderer,
  createProxyCompiler,
  emptyIptables,
  ipvsOwner,
  nodeFacts,
  type NodeFacts,
  type ProxyModel,
  proxyOwner,
  renderIptables,
  renderIpvs,
  renderNftables,
  resolveProxyOptions,
  resolveTraffic,
  type TrafficDecision,
  type TrafficSetting,
} from '../../src/kube-proxy/index.ts';
import type { Protocol } from '../../src/net/index.ts';
import { type Outcome, type Packet, walkIpvsOutcomes, walkNftOutcomes, walkOutcomes } from '../../src/packet-walk/index.ts';
import { directorOf } from './ipvs-kernel.ts';
import { node } from './objects.ts';
import {
  external,
  nodeAddresses,
  objectsOf,
  optionsPlan,
  pods,
  ports,
  protocols,
  type ServicePlan,
  servicePlan,
} from './random-services.ts';

const flowPlan = fc.record({
  from: fc.constantFrom(...pods, ...nodeAddresses, '198.51.100.5', '192.168.88.99', '203.0.113.9', '127.0.0.1'),
  to: fc.constantFrom('10.96.0.0', '10.96.0.1', '10.96.0.2', '10.96.9.9', ...external, '203.0.113.9', ...nodeAddresses, '127.0.0.1'),
  port: fc.constantFrom(...ports, 30_000, 30_001, 30_002),
  protocol: fc.constantFrom(...protocols),
});

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

test('for many random services the rules of bucketed dispatch do what the model says, and what changes become is what is made anew', () => {
  const many = fc.array(servicePlan, { minLength: 20, maxLength: 60 });
  // Every fourth block of 16 addresses, so that blocks of every size hold several services.
  const clusterIP = (index: number): string => `10.96.${(index >> 3) * 3}.${(index & 7) * 5}`;
  const spread = (plans: readonly ServicePlan[]): ReturnType<typeof objectsOf> => {
    const { services, endpointSlices } = objectsOf(plans);
    return {
      services: services.map((service, index) => ({ ...service, spec: { ...service.spec, clusterIP: clusterIP(index) } })),
      endpointSlices,
    };
  };
  fc.assert(
    fc.property(
      many,
      many,
      optionsPlan,
      fc.array(fc.tuple(flowPlan, fc.nat(59)), { minLength: 30, maxLength: 30 }),
      (before, plans, settings, flows) => {
        const options = resolveProxyOptions({ nodeName: 'worker-1', iptablesDispatch: 'bucketed', ...settings });
        const facts = nodeFacts('worker-1', node(), 4);
        const compile = createProxyCompiler(4);
        const render = createIptablesRenderer(options);
        const owner = proxyOwner(4, options);
        const modelOf = (all: readonly ServicePlan[]): ProxyModel => compile({ nodeName: 'worker-1', node: node(), ...spread(all) });
        const earlier = render(modelOf(before), facts);
        const model = modelOf(plans);
        const desired = render(model, facts);
        expect(diffIptables(desired, renderIptables(model, facts, options), owner)).toBeUndefined();
        const loaded = applyIptables(emptyIptables(4), diffIptables(emptyIptables(4), earlier, owner)!);
        const change = diffIptables(loaded, desired, owner);
        const rules = change ? applyIptables(loaded, change) : loaded;
        expect(diffIptables(rules, desired, owner)).toBeUndefined();
        const setting = { node: facts, options, addresses: nodeAddresses };
        const asked = flows.map(([flow, index]) => (flow.to.startsWith('10.96.') ? { ...flow, to: clusterIP(index) } : flow));
        compare(asked, model, setting, (packet) => walkOutcomes(rules, packet, { addresses: nodeAddresses }));
      },
    ),
    { numRuns: 40 },
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

test('for random services and packets the virtual servers, sets and rules of mode ipvs do what the model says', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(servicePlan, { maxLength: 3 }),
      fc.array(servicePlan, { maxLength: 3 }),
      optionsPlan,
      fc.constantFrom('rr', 'wlc', 'sh', 'mh'),
      fc.array(flowPlan, { minLength: 20, maxLength: 20 }),
      async (before, plans, settings, ipvsScheduler, flows) => {
        const options = resolveProxyOptions({ nodeName: 'worker-1', mode: 'ipvs', ipvsScheduler, ...settings });
        const { model, facts } = compiled(plans);
        const kernel = createFakeIpvs({ lo: ['127.0.0.1'], eth0: nodeAddresses.slice(0, 1), podwire0: nodeAddresses.slice(1) });
        const door = directorOf(kernel, 4, options);
        const owner = ipvsOwner(4, options, false);
        const sync = async (desired: IpvsDirector): Promise<IpvsDirector> => {
          const change = diffDirector((await door.read()).director, desired, owner);
          if (change) await door.apply(change);
          return (await door.read()).director;
        };
        // What is walked is what the tools tell of the kernel after it was changed from other services to these.
        await sync(renderIpvs(compiled(before).model, facts, options, nodeAddresses));
        const desired = renderIpvs(model, facts, options, nodeAddresses);
        const director = await sync(desired);
        expect(diffDirector({ ...director, draining: new Map() }, desired, owner)).toBeUndefined();
        compare(flows, model, { node: facts, options, addresses: nodeAddresses }, (packet) =>
          walkIpvsOutcomes(director, packet, { addresses: nodeAddresses }),
        );
      },
    ),
    { numRuns: 500 },
  );
});

test('after any sequence of changes the state of mode ipvs is that made anew', () => {
  fc.assert(
    fc.property(changesPlan, optionsPlan, (changes, settings) => {
      const states = statesOf(changes);
      const options = resolveProxyOptions({ nodeName: 'worker-1', mode: 'ipvs', ...settings });
      const owner = ipvsOwner(4, options, false);
      const compile = createProxyCompiler(4);
      const render = createIpvsRenderer(options);
      const facts = nodeFacts('worker-1', node(), 4);
      let kept: ReturnType<typeof objectsOf> = { services: [], endpointSlices: [] };
      let held: IpvsDirector | undefined;
      for (const plans of states) {
        kept = keepObjects(objectsOf(plans), kept);
        const desired = render(compile({ nodeName: 'worker-1', node: node(), ...kept }), facts, nodeAddresses);
        const anew = renderIpvs(compiled(plans).model, facts, options, nodeAddresses);
        expect(diffDirector(desired, anew, owner)).toBeUndefined();
        expect(diffDirector(anew, desired, owner)).toBeUndefined();
        // What is told to be changed is as much as between two states that know nothing of each other.
        if (held) {
          const change = diffDirector(held, desired, owner);
          const plain = diffDirector(plainCopy(held), plainCopy(desired), owner);
          expect(change && linesOf(change)).toEqual(plain && linesOf(plain));
        }
        held = desired;
      }
    }),
    { numRuns: 150 },
  );
});

/** Without the parts by which the same is told at no cost. */
const plainCopy = (director: IpvsDirector): IpvsDirector => ({
  ...director,
  servers: new Map(director.servers),
  addresses: new Map(director.addresses),
  sets: new Map([...director.sets].map(([name, set]) => [name, { ...set, elements: new Map(set.elements) }])),
});

const linesOf = (change: DirectorChange): string[] => printDirectorChange(change, 'kube-ipvs0', 4).split('\n').sort();

test.each(['fast', 'compat'] as const)('after any sequence of changes the nftables rules of layout %s are those made anew', (layout) => {
  fc.assert(
    fc.property(changesPlan, optionsPlan, (changes, settings) => {
      const states = statesOf(changes);
      const options = resolveProxyOptions({ nodeName: 'worker-1', mode: 'nftables', nftablesLayout: layout, ...settings });
      const compile = createProxyCompiler(4);
      const render = createNftablesRenderer(options, layout);
      const facts = nodeFacts('worker-1', node(), 4);
      let kept: ReturnType<typeof objectsOf> = { services: [], endpointSlices: [] };
      for (const plans of states) {
        kept = keepObjects(objectsOf(plans), kept);
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

const statesOf = (changes: typeof changesPlan extends fc.Arbitrary<infer T> ? T : never): ServicePlan[][] =>
  changes.reduce<ServicePlan[][]>((made, { at, now }) => [...made, now === undefined ? [] : mutated(made.at(-1) ?? [], at, now)], []);

/** As an informer has it: what has not changed is the same object. */
function keepObjects(fresh: ReturnType<typeof objectsOf>, kept: ReturnType<typeof objectsOf>): ReturnType<typeof objectsOf> {
  const same = <T>(now: readonly T[], before: readonly T[]): T[] =>
    now.map((each) => before.find((old) => JSON.stringify(old) === JSON.stringify(each)) ?? each);
  return { services: same(fresh.services, kept.services), endpointSlices: same(fresh.endpointSlices, kept.endpointSlices) };
}

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
