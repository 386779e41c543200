import fc from 'fast-check';
import { compileProxy, nodeFacts, resolveProxyOptions, resolveTraffic } from '../../../src/kube-proxy/index.ts';
import { node } from '../../kube-proxy/objects.ts';
import { external, objectsOf, optionsPlan, type ServicePlan, servicePlan } from '../../kube-proxy/random-services.ts';
import { origins, type Variant } from '../../kube-proxy/scenario-objects.ts';
import type { Bed } from './bed.ts';
import { possibleAnswers, probeFor, type RealFlow, type WantedOutcome } from './expectation.ts';
import { createLoader, forgetConnections } from './loader.ts';
import type { RowResult } from './scenario-runner.ts';
import { addresses, placeOf } from './topology.ts';

const nodeAddresses = addresses.node.map(([v4]) => v4);
/** Those that can send so that the packet meets the node: pods of the node, a pod of the other, outsiders, the node by each of its addresses. */
const senders = [
  ...[origins.pod, origins.backend, origins.otherPod, origins.outsider, origins.allowed].map(([v4]) => v4 as string),
  ...nodeAddresses,
];
const flowPlan = fc.record({
  from: fc.constantFrom(...senders),
  /** Whose address and port, of the random services. */
  of: fc.nat(2),
  by: fc.constantFrom('clusterIP', 'clusterIP', 'external', 'balancer', 'nodePort', 'nodePort', 'localhost'),
  which: fc.nat(1),
  /** Now and then the port or the protocol is another than the service's. */
  otherPort: fc.option(fc.constantFrom(80, 443, 30_000), { freq: 8 }),
  otherProtocol: fc.integer({ min: 0, max: 7 }).map((number) => number === 0),
});

/** The service's protocol, as far as Node can send it. */
const sendable = (protocol: string): 'TCP' | 'UDP' => (protocol === 'UDP' ? 'UDP' : 'TCP');

function flowOf(
  { from, of, by, which, otherPort, otherProtocol }: typeof flowPlan extends fc.Arbitrary<infer T> ? T : never,
  plans: readonly ServicePlan[],
): RealFlow & { protocol: 'TCP' | 'UDP' } {
  const index = of % plans.length;
  const { port, protocol } = plans[index]!;
  const own = sendable(protocol);
  const to = {
    clusterIP: `10.96.0.${index}`,
    external: external[which]!,
    balancer: origins.nodeAsBalancer[0],
    nodePort: nodeAddresses[which]!,
    localhost: '127.0.0.1',
  }[by];
  const atNode = by === 'nodePort' || by === 'localhost';
  return {
    // What comes from a loopback address cannot leave, and only such a packet goes to one.
    from: by === 'localhost' ? '127.0.0.1' : from,
    to,
    port: otherPort ?? (atNode ? 30_000 + index : port),
    protocol: otherProtocol ? (own === 'TCP' ? 'UDP' : 'TCP') : own,
  };
}

const verdicts = { balanced: 'dnat', rejected: 'reject', dropped: 'drop', untouched: 'accept' } as const;
const facts = nodeFacts('worker-1', node(), 4);

/** Random Services, options and packets; tells the packets that met something else than the model says. Each load takes many packets at the same time. */
export async function runRandomPackets(bed: Bed, variant: Variant, loads: number, packets: number, seed: number): Promise<RowResult[]> {
  const results: RowResult[] = [];
  const loader = createLoader(bed.runner('node'), 4);
  const plan = fc.record({
    services: fc.array(servicePlan, { minLength: 1, maxLength: 3 }),
    settings: optionsPlan,
    flows: fc.array(flowPlan, { minLength: packets, maxLength: packets }),
  });
  for (const [index, { services, settings, flows: plans }] of fc.sample(plan, { numRuns: loads, seed }).entries()) {
    const flows = plans.map((each) => flowOf(each, services));
    const options = resolveProxyOptions({ nodeName: 'worker-1', ...variant, ...settings });
    const model = compileProxy(
      { nodeName: 'worker-1', node: node(), ...objectsOf(services.map((each) => ({ ...each, protocol: sendable(each.protocol) }))) },
      4,
    );
    await loader.load(model, facts, options);
    await forgetConnections(bed.runner('node'));
    const answers = flows.map(async (flow): Promise<RowResult> => {
      const link = origins.pod.includes(flow.from as never) || origins.backend.includes(flow.from as never) ? 'podwire0' : 'eth0';
      const place = placeOf(flow.from);
      const setting = { node: facts, options, addresses: nodeAddresses };
      const decision = resolveTraffic(model, { ...flow, ...(place === 'node' ? {} : { in: link }) }, setting);
      const wanted: WantedOutcome = { outcome: verdicts[decision.outcome], backends: decision.backends };
      const possible = possibleAnswers(flow, wanted, 4);
      // Mode ipvs marks by the node port alone, as kube-proxy does, also at an address of the node that does not serve it.
      const isMarked = variant.mode === 'ipvs' && wanted.outcome === 'accept' && nodeAddresses.includes(flow.to);
      if (isMarked && model.services.some(({ nodePort }) => nodePort === flow.port))
        possible.push(...possible.map((each) => each.replace(/\S+$/, flow.to)));
      const [got] = await bed.ask(place, { op: 'probe', probes: [probeFor(flow, possible, true)] });
      const row = `load ${index}: ${flow.protocol} ${flow.from} -> ${flow.to}:${flow.port}`;
      // One packet meets one of the endpoints.
      return { row, got: got!, wanted: possible.includes(got!) ? got! : `one of ${possible.join('; ')}` };
    });
    results.push(...(await Promise.all(answers)));
  }
  await loader.clear();
  return results;
}
