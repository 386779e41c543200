// Runs plugins one after another in the network namespace of this process and measures them. A Job on standard input, Times on standard output.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Tier {
  readonly name: string;
  readonly program: string;
  readonly config: object;
  readonly netns: string;
  /** The next plugin of the chain: after the first at ADD, before it at DEL, with the result of the first. */
  readonly chained?: { readonly program: string; readonly config: object };
}

export interface Job {
  readonly tiers: readonly Tier[];
  readonly turns: number;
  /** Turns before those that are measured. */
  readonly warmUp: number;
  /** A prefix of container ids. */
  readonly label: string;
  /** Commands between ADD and DEL, which get the result of the ADD. */
  readonly between: readonly string[];
}

/** Milliseconds by tier and command. */
export type Times = Readonly<Record<string, Readonly<Record<string, readonly number[]>>>>;

/** Milliseconds after which the kernel has done what it does after a DEL was answered: one must not pay for the other. */
const settling = 30;

async function measure({ tiers, turns, warmUp, label, between }: Job): Promise<Times> {
  const times: Record<string, Record<string, number[]>> = {};
  for (let turn = -warmUp; turn < turns; turn++) {
    // Nobody is always first.
    const first = (turn + warmUp) % tiers.length;
    for (const tier of [...tiers.slice(first), ...tiers.slice(0, first)]) {
      let prevResult = {};
      for (const command of ['ADD', ...between, 'DEL']) {
        await sleep(settling);
        const { took, stdout } = runChain(tier, command, `${label}${turn + warmUp}`, prevResult);
        if (command === 'ADD') prevResult = { prevResult: JSON.parse(stdout) as object };
        if (turn >= 0) ((times[tier.name] ??= {})[command] ??= []).push(took);
      }
    }
  }
  return times;
}

interface Outcome {
  readonly took: number;
  readonly stdout: string;
}

/** The processes of a chain, whose times are added: what a runtime does between them is not ours. */
function runChain(tier: Tier, command: string, id: string, prevResult: object): Outcome {
  const { chained } = tier;
  const first = (): Outcome => run(tier, command, id, { ...tier.config, ...prevResult });
  if (!chained) return first();
  const next = (previous: object): Outcome => run({ ...tier, program: chained.program }, command, id, { ...chained.config, ...previous });
  const outcomes: Outcome[] = [];
  if (command === 'DEL') outcomes.push(next(prevResult), first());
  else {
    const before = first();
    outcomes.push(before, next(command === 'ADD' ? { prevResult: JSON.parse(before.stdout) as object } : prevResult));
  }
  return { took: outcomes.reduce((sum, { took }) => sum + took, 0), stdout: outcomes.at(-1)!.stdout };
}

function run({ name, program, netns }: Tier, command: string, id: string, config: object): Outcome {
  const environment = {
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    CNI_COMMAND: command,
    CNI_CONTAINERID: `${name}-${id}`,
    CNI_NETNS: netns,
    CNI_IFNAME: 'eth0',
    CNI_PATH: process.env['CNI_PATH'],
    CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${id}`,
  };
  const start = performance.now();
  const { status, stdout, stderr } = spawnSync(program, [], { input: JSON.stringify(config), env: environment, encoding: 'utf8' });
  const took = performance.now() - start;
  if (status !== 0) throw new Error(`${name}: ${command} failed: ${stdout}${stderr}`);
  return { took, stdout };
}

process.stdout.write(JSON.stringify(await measure(JSON.parse(readFileSync(0, 'utf8')) as Job)));
