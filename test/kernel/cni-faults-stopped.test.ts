import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { buildExecutable } from './support/cni-node.ts';
import { heldFiles, nodeOfTier } from './support/cni-state.ts';

t.before(buildExecutable);

void t.test(
  'an agent that is stopped (SIGSTOP) in the middle of ADDs and DELs holds up nobody for ever; going on, it undoes nothing',
  async (t) => {
    const node = await nodeOfTier(t, 'stopped', 'agent');
    const names = Array.from({ length: 12 }, (_, index) => `p${index}`);
    for (const name of names) node.addPod(name);
    const agent = Number(readFileSync(join(node.dataDir, '.agent/current'), 'utf8').split(' ')[0]);
    t.teardown(() => {
      try {
        process.kill(agent, 'SIGCONT');
      } catch {
        // It has ended.
      }
    });
    t.equal((await node.cni('ADD', names[0])).exitCode, 0);

    const started = Date.now();
    const first = names.slice(0, 8).map((name, index) => node.cni(index === 0 ? 'DEL' : 'ADD', name));
    await sleep(12);
    process.kill(agent, 'SIGSTOP');
    const late = names.slice(8).map((name) => node.cni('ADD', name));
    const answers = await Promise.all([...first, ...late]);
    const failed = answers.filter(({ exitCode }) => exitCode !== 0);
    t.comment(`${Date.now() - started} ms`);
    t.ok(Date.now() - started < 40_000, 'they end soon');
    t.strictSame(
      failed.map(({ stdout, stderr }) => stdout + stderr),
      [],
      'and do without the agent',
    );
    const begun = Date.now();
    t.equal((await node.cni('DEL', names[11])).exitCode, 0);
    t.ok(Date.now() - begun < 10_000);

    process.kill(agent, 'SIGCONT');
    // Until launchers have been told to come back, and it has done whatever it had begun.
    for (let wait = 0; wait < 100 && (await node.cni('STATUS', undefined)).exitCode !== 0; wait++) await sleep(100);
    await sleep(500);
    const again = await node.cni('ADD', names[0]);
    t.equal(again.exitCode, 0, again.stdout);
    const live = [again, ...answers.slice(1, 11)];
    const addresses = live.flatMap(({ json }) => json.ips.map(({ address }: { address: string }) => address) as string[]);
    t.strictSame([addresses.length, new Set(addresses).size], [22, 22], 'no address twice');
    for (const [index, { json }] of live.entries())
      t.equal((await node.cni('CHECK', names[index], { config: { prevResult: json } })).stdout, '', `${names[index]} is whole`);
    await Promise.all(names.map((name) => node.cni('DEL', name)));
    t.strictSame([node.links(), heldFiles(node)], [['podwire0'], []]);
  },
);
