import { describe, expect, it } from 'vitest';
import { labComponents } from '../../src/lab/components.ts';
import { labLayout } from '../../src/lab/layout.ts';
import { nodeUnits } from '../../src/lab/systemd.ts';
import { resolveTopology } from '../../src/lab/topology.ts';

const topology = resolveTopology({ name: 'vms' });
const layout = labLayout('/var/lib/podwire', 'vms');
const units = (node: string) => nodeUnits(topology, layout, node, '/usr/local/bin/podwire');

describe('the systemd units of a node', () => {
  it('are those of the daemons that the lab runs there', () => {
    expect(units('control').map(({ name }) => name)).toEqual([
      'podwire-apiserver.service',
      'podwire-controllers.service',
      'podwire-agent.service',
      'podwire-pod-runner.service',
    ]);
    expect(units('worker-1').map(({ name }) => name)).toEqual(['podwire-agent.service', 'podwire-pod-runner.service']);
  });

  it("start them with the lab's own arguments", () => {
    const agent = labComponents(topology, layout).find(({ name }) => name === 'worker-1.agent')!;
    expect(units('worker-1')[0]?.text).toContain(`ExecStart=/usr/local/bin/podwire ${agent.args.join(' ')}\n`);
  });

  it('hand over no socket: there is no host whose port would have to reach in', () => {
    expect(units('control')[0]?.text).not.toContain('--listen-fd');
    expect(units('control')[0]?.text).toContain('--service-cluster-ip-range');
  });

  it('leave the pods alone when the pod runner is stopped', () => {
    expect(units('worker-1')[1]?.text).toContain('KillMode=process');
  });
});
