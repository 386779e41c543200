import { systemRunner } from '../../src/kernel/command-runner.ts';
import { connectTimes } from './connect.ts';
import { watchChanges } from './changes.ts';
import { createPipeline, type Layout } from './layouts.ts';
import { type Objects, objectsOf, serviceOf, sliceOf, sliceWithAnother } from './objects.ts';
import { setTimes } from './sets.ts';

/** What a worker can be asked for. Times are milliseconds. */
export const tasks = { load, loadWhole, restores, changes: watchChanges, connect: connectTimes, sets: setTimes };

/** From objects in memory to the kernel, in a process that has just started. */
async function load({ layout, services }: { layout: Layout; services: number }): Promise<number> {
  const objects = objectsOf(services);
  return createPipeline(layout).sync(objects);
}

/** The same rules in one restore or transaction, made beforehand: the kernel and its tool alone. */
async function loadWhole({ layout, services }: { layout: Layout; services: number }): Promise<number> {
  const pipeline = createPipeline(layout);
  const input = pipeline.print(pipeline.change(objectsOf(services)));
  const start = performance.now();
  await send(layout, input);
  return performance.now() - start;
}

async function send(layout: Layout, input: string): Promise<void> {
  const [command, args] = layout.startsWith('legacy')
    ? ['iptables-legacy-restore', ['-w', '5', '--noflush']]
    : layout.startsWith('nft')
      ? ['iptables-nft-restore', ['-w', '5', '--noflush']]
      : ['nft', ['--file', '-']];
  await systemRunner.run(command as string, args as string[], { input, timeout: 600_000 });
}

export interface RestoreTimes {
  readonly load: number;
  /** Objects to kernel. */
  readonly endpoint: readonly number[];
  readonly service: readonly number[];
  /** The chains of one service alone, sent as they are: the smallest partial restore there is. */
  readonly smallest: readonly number[];
}

/** Changes of a loaded ruleset beside the smallest one, in turns. */
async function restores({ layout, services, rounds }: { layout: Layout; services: number; rounds: number }): Promise<RestoreTimes> {
  const pipeline = createPipeline(layout);
  const objects = objectsOf(services);
  const load = await pipeline.sync(objects);
  const times = { endpoint: [] as number[], service: [] as number[], smallest: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    const at = (round * 7_919) % services;
    const with1 = replaced(objects, at, round);
    const change = pipeline.change(with1);
    const input = pipeline.print(change);
    const start = performance.now();
    await send(layout, input);
    times.smallest.push(performance.now() - start);
    // As large a change again, from the objects on.
    times.endpoint.push(await pipeline.sync(replaced(with1, at, round + rounds)));
    objects.slices[at] = sliceWithAnother(at, round + rounds);
    objects.services.push(serviceOf(services + round));
    objects.slices.push(sliceOf(services + round));
    times.service.push(await pipeline.sync(objects));
  }
  return { load, ...times };
}

const replaced = ({ services, slices }: Objects, at: number, round: number): Objects => ({
  services,
  slices: slices.with(at, sliceWithAnother(at, round)),
});
