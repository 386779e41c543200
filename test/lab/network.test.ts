import { describe, expect, it } from 'vitest';
import { labComponents } from '../../src/lab/components.ts';
import { labLayout } from '../../src/lab/layout.ts';
import { planNetwork } from '../../src/lab/network.ts';
import { resolveTopology } from '../../src/lab/topology.ts';

const topology = resolveTopology({ name: 'demo' });
const layout = labLayout('/state', 'demo');

describe('the network of a lab', () => {
  it('is a switch and one namespace per node, all named after the lab', () => {
    expect(planNetwork(topology, layout).namespaces).toEqual([
      'pw.demo.0-switch',
      'pw.demo.control',
      'pw.demo.worker-1',
      'pw.demo.worker-2',
    ]);
  });

  it('gives every node its addresses of both families on eth0, without duplicate address detection', () => {
    const worker = planNetwork(topology, layout).setups.find(({ namespace }) => namespace === 'pw.demo.worker-1');
    expect(worker?.operations).toContain('addr add 192.168.88.12/24 dev eth0 nodad');
    expect(worker?.operations).toContain('addr add fd00:88::12/64 dev eth0 nodad');
  });

  it('makes every link inside a namespace of the lab', () => {
    for (const { operations } of planNetwork(topology, layout).setups) {
      for (const line of operations.filter((text) => text.includes('type veth'))) expect(line).toMatch(/ netns pw\.demo\.\S+$/);
    }
  });

  it('finds port names for node names that are too long for an interface', () => {
    const long = resolveTopology({ name: 'demo', nodes: [{ name: 'a-very-long-node-name' }, { name: 'underlay' }] });
    const [first] = planNetwork(long, layout).setups;
    expect(first?.operations.filter((line) => line.startsWith('link add port'))).toHaveLength(2);
    expect(first?.operations).toContain('link set port0 alias a-very-long-node-name master underlay addrgenmode none up');
  });
});

describe('the daemons of a lab', () => {
  it('are a control plane on the first node, and an agent and a pod runner on each', () => {
    expect(labComponents(topology, layout).map(({ name }) => name)).toEqual([
      'control.apiserver',
      'control.controllers',
      'control.agent',
      'control.pod-runner',
      'worker-1.agent',
      'worker-1.pod-runner',
      'worker-2.agent',
      'worker-2.pod-runner',
    ]);
  });

  it('hand the listening socket of the host to the API server alone', () => {
    const inheriting = labComponents(topology, layout).filter(({ inheritsListener }) => inheritsListener);
    expect(inheriting.map(({ name }) => name)).toEqual(['control.apiserver']);
  });

  it('of two labs share no file and no namespace', () => {
    const words = (lab: string): Set<string> =>
      new Set(
        labComponents({ ...topology, name: lab }, labLayout('/state', lab)).flatMap(({ args, namespace }) => [
          ...args.filter((word) => word.startsWith('/')),
          namespace,
        ]),
      );
    const [a, b] = [words('one'), words('two')];
    expect([...a].filter((word) => b.has(word))).toEqual([]);
  });
});
