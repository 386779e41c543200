import { setTimeout as sleep } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { type CommandRunner, systemRunner } from '../../src/kernel/command-runner.ts';
import { createFakeCluster } from '../../src/kube/fake-cluster.ts';
import { startProxy } from '../../src/kube-proxy/daemon.ts';
import { resources } from '../../src/objects/index.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { createHealth } from '../../src/runtime/health.ts';
import { silentLogger } from '../../src/runtime/log.ts';
import { type Layout, optionsOf } from './layouts.ts';
import { objectsOf, serviceOf, sliceOf, sliceWithAnother } from './objects.ts';

export interface ChangeTimes {
  /** Milliseconds from the start of the daemon to its first sync done. */
  readonly start: number;
  /** Milliseconds from the watch event to the kernel. */
  readonly endpoint: readonly number[];
  readonly service: readonly number[];
  /** Bytes that this process holds, its caches of the cluster included. */
  readonly memory: number;
  /** Milliseconds of processor time of this process: for the start, and for each change. */
  readonly startCpu: number;
  readonly changeCpu: number;
}

const syncPeriod = 2_000;

/** Runs the daemon on a cluster of so many services, changes one thing at a time and sees how long it takes to the kernel. */
export async function watchChanges({
  layout,
  services,
  rounds,
}: {
  layout: Layout;
  services: number;
  rounds: number;
}): Promise<ChangeTimes> {
  /** Called when the kernel has taken something. */
  const sent = { done: (): void => undefined };
  const cluster = createFakeCluster();
  cluster.set(resources.nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'worker-1' }, spec: {}, status: {} });
  const objects = objectsOf(services);
  for (const each of objects.services) cluster.set(resources.services, each);
  for (const each of objects.slices) cluster.set(resources.endpointSlices, each);
  const [began, cpuBefore] = [performance.now(), process.cpuUsage()];
  const daemon = await startProxy(
    { ...optionsOf(layout), syncPeriod },
    { cluster, runner: timed(sent) },
    { log: silentLogger(), clock: systemClock, metrics: new Registry(), health: createHealth() },
  );
  while (daemon.report().lastSync === 0) await sleep(10);
  const start = performance.now() - began;
  const startCpu = cpuMilliseconds(cpuBefore);
  // Once after its start the daemon reads the kernel, and then trusts what it is told of changes by others.
  await sleep(3 * syncPeriod);

  const measure = async (change: (round: number) => void): Promise<number[]> => {
    const times: number[] = [];
    for (let round = 0; round < rounds; round++) {
      // Apart from each other: this is about the change, not about how many there are.
      await sleep(120);
      const at = performance.now();
      const done = new Promise<number>((resolve) => (sent.done = () => resolve(performance.now())));
      change(round);
      times.push((await done) - at);
    }
    return times;
  };
  const cpuChanges = process.cpuUsage();
  const endpoint = await measure((round) => cluster.set(resources.endpointSlices, sliceWithAnother((round * 7_919) % services, round)));
  const service = await measure((round) => {
    cluster.set(resources.endpointSlices, sliceOf(services + round));
    cluster.set(resources.services, serviceOf(services + round));
  });
  const changeCpu = cpuMilliseconds(cpuChanges) / (2 * rounds);
  const memory = process.memoryUsage.rss();
  await daemon.stop();
  return { start, endpoint, service, memory, startCpu, changeCpu };
}

const cpuMilliseconds = (before: NodeJS.CpuUsage): number => {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
};

/**
 * The system's runner, noting when the kernel has taken a transaction or restore. Of nftables the kernel itself tells that, to the monitor that
 * the daemon runs: the `nft` that deleted something ends milliseconds later, because the kernel lets it wait until nobody can be using that any more.
 */
function timed(sent: { readonly done: () => void }): CommandRunner {
  const note = (): void => sent.done();
  const { standby, listen } = systemRunner;
  return {
    async run(command, args, options) {
      const result = await systemRunner.run(command, args, options);
      if (command.endsWith('-restore') && options?.input !== undefined) note();
      return result;
    },
    standby: standby!,
    listen: (command, args, listener) =>
      listen!(command, args, {
        ...listener,
        line(text) {
          if (text.startsWith('# new generation')) note();
          listener.line(text);
        },
      }),
  };
}
