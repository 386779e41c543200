import { describe, expect, it } from 'vitest';
import { labLayout } from '../../src/lab/layout.ts';
import { waitForAgents } from '../../src/lab/readiness.ts';
import { resolveTopology } from '../../src/lab/topology.ts';
import { createFakeClock } from '../../src/runtime/fake-clock.ts';

const layout = labLayout('/state', 'sim');
const topology = resolveTopology({ name: 'sim' });

function waiting(ask: (socket: string) => Promise<readonly string[]>) {
  const clock = createFakeClock();
  let outcome: unknown = 'waiting';
  void waitForAgents(layout, topology, clock, ask).then(
    () => (outcome = 'ready'),
    (error: unknown) => (outcome = error),
  );
  return { clock, outcome: () => outcome };
}

describe('a lab whose daemons were started again', () => {
  it('is ready once every agent answers by itself and has no problem', async () => {
    const agents = new Map<string, readonly string[]>();
    const { clock, outcome } = waiting((socket) => {
      const problems = agents.get(socket);
      return problems ? Promise.resolve(problems) : Promise.reject(new Error('connect ECONNREFUSED'));
    });
    await clock.advance(200);
    expect(outcome()).toBe('waiting');
    for (const { name } of topology.nodes) agents.set(layout.node(name).agentSocket, []);
    agents.set(layout.node('worker-1').agentSocket, ['proxy: IPv6: not synced yet']);
    await clock.advance(200);
    expect(outcome()).toBe('waiting');
    agents.set(layout.node('worker-1').agentSocket, []);
    await clock.advance(200);
    expect(outcome()).toBe('ready');
  });

  it('that does not become ready says which agent has which problem', async () => {
    const { clock, outcome } = waiting((socket) => Promise.resolve(socket.includes('worker-2') ? ['bgp: port 179 is in use'] : []));
    await clock.advance(31_000);
    expect(outcome()).toMatchObject({ problems: ['the agent of worker-2: bgp: port 179 is in use', 'gave up after 30 s'] });
  });
});
