import { expect, it, vi } from 'vitest';
import { startNatRepair } from '../../src/cni-plugin/effects/nat-repair.ts';
import { createFakeClock } from '../../src/runtime/fake-clock.ts';
import { silentLogger } from '../../src/runtime/log.ts';
import { baseConfig, createFakeNode } from './support.ts';

const table = 'podwire-net-podwire';
const { cniVersion, name, ...plugin } = baseConfig;
const config = { ipMasq: true, runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] } };

it('the agent repairs flushed rules every 30 s, gives back host ports of pods that are gone, and ADD needs no nft meanwhile', async () => {
  const node = createFakeNode('a', 'b', 'c');
  const clock = createFakeClock();
  const { nft, hostPorts } = node.extras;
  const { store } = node;
  await node.run('ADD', 'a', config);
  const repair = startNatRepair({
    conflist: () => JSON.stringify({ cniVersion, name, plugins: [{ ...plugin, ipMasq: true }] }),
    store,
    hostPorts,
    nat: { nft, forgetUdpFlows: () => Promise.resolve(), nodeNamespace: 1, now: () => node.facts.now },
    clock,
    log: silentLogger(),
  });
  await vi.waitFor(() => expect(nft.reads).toBe(1));
  const before = nft.tables.get(table);
  nft.tables.clear();
  // The timer is set after the turn has ended.
  await vi.waitFor(async () => {
    await clock.advance(30_000);
    expect(nft.tables.get(table)).toEqual(before);
  });
  node.facts.now += 30_000;
  const { length } = nft.applied;
  await node.run('ADD', 'b', { ipMasq: true });
  expect(nft.applied).toHaveLength(length);

  store.removeOwner('c-a@eth0');
  await vi.waitFor(async () => {
    await clock.advance(30_000);
    expect(hostPorts.owners()).toEqual([]);
  });
  expect(nft.tables.get(table)?.sets.get('any-tcp-4')?.elements.size).toBe(0);
  await repair.stop();
});
