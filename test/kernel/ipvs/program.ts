// The program that runs in user-mode Linux: what mode ipvs prints, as the real ipvsadm, ipset, iptables and ip take it and tell it again, and what
// packets see of it. Prints JSON.
import { createIpvs } from '../../../src/kernel/ipvs.ts';
import { createShellRunner } from '../support/shell-runner.ts';
import { behaviours } from './behaviours.ts';
import { clear, createLoad, openProgrammer } from './load.ts';
import { spreadObjects } from './objects.ts';

const shell = createShellRunner('/run/tmp');
const run = async (command: string, ...args: string[]): Promise<string> => (await shell.run(command, args)).stdout;

/** Everything that the mode could leave behind. */
async function residue(): Promise<string> {
  const rules = `${await run('iptables-legacy-save')}${await run('ip6tables-legacy-save')}`;
  const own = rules.split('\n').filter((line) => /KUBE/.test(line));
  return [
    ...own,
    await run('ipset', 'save'),
    await run('ipvsadm', '-S', '-n'),
    await run('ip', '-o', 'link', 'show', 'type', 'dummy'),
  ].join('');
}

/** The second differs from the first in endpoints, the third in services. */
const spreads = [
  { services: 12, endpoints: 3 },
  { services: 12, endpoints: 2 },
  { services: 5, endpoints: 2 },
];

async function roundTrip(): Promise<Record<string, unknown>> {
  const results: Record<string, unknown> = {};
  for (const family of [4, 6] as const) {
    const load = createLoad(shell, family);
    const left: string[] = [];
    for (const spread of family === 4 ? spreads : spreads.slice(0, 1)) left.push((await load(spreadObjects(family, spread))).left);
    results[`IPv${family}`] = left;
  }
  await clear(openProgrammer(shell, 4));
  results['addresses of IPv6'] = (await run('ip', '-o', 'addr', 'show', 'kube-ipvs0')).includes('fd00:10:96::5');
  await clear(openProgrammer(shell, 6));
  results['residue'] = await residue();
  await createLoad(shell, 4, { ipvsScheduler: 'mh', ipvsTCPTimeout: 60_000 })(spreadObjects(4, { services: 1, endpoints: 1 }));
  results['maglev'] = await run('ipvsadm', '-S', '-n');
  results['timeouts'] = await createIpvs(shell).timeouts();
  await clear(openProgrammer(shell, 4));
  return results;
}

try {
  process.stdout.write(JSON.stringify({ ...(await roundTrip()), behaviours: await behaviours(shell) }));
} finally {
  shell.stop();
}
