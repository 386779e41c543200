// The scenario list with real packets: on the machine's own kernel, and for IPVS, which that may lack, in user-mode Linux.
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { Variant } from '../kube-proxy/scenario-objects.ts';
import { startBed } from './proxy/bed.ts';
import { checkMany, checkRows } from './proxy/check-rows.ts';
import { modes } from './proxy/modes.ts';
import { runScenarios } from './proxy/scenario-runner.ts';
import type { UmlResults } from './proxy/uml-program.ts';
import { runInUml } from './support/uml.ts';

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
// It takes one processor while the modes of this kernel take the other.
const ipvs = runInUml(file('./proxy/uml-program.ts'), [JSON.stringify({ mode: 'ipvs', iptables: 'legacy' } satisfies Variant)], {
  modules: ['ipv6', 'br_netfilter', 'ip_vs'],
  programs: [file('./proxy/peer-process.ts'), file('./proxy/daemon-process.ts')],
  timeout: 280_000,
});
ipvs.catch(() => undefined);

for (const [name, variant] of modes) {
  t.test(`real packets through ${name} meet what the scenario list says`, { timeout: 120_000 }, async (t) => {
    const bed = await startBed();
    t.teardown(() => bed.stop());
    checkRows(t, await runScenarios(bed, variant));
  });
}

t.test('IPVS', { timeout: 290_000 }, async (t) => {
  const { rows, random, states } = JSON.parse(await ipvs) as UmlResults;
  await t.test('real packets meet what the scenario list says', async (t) => {
    t.ok(rows.length > 100, `${rows.length} rows`);
    checkRows(t, rows);
  });
  await t.test('500 random packets meet what the model says', async (t) => {
    checkMany(t, random, 500);
  });
  await t.test('over time the daemon does what the scenario list says', async (t) => {
    t.ok(states.length >= 8, `${states.length} rows`);
    checkRows(t, states);
  });
});
