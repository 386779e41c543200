import { basename, dirname } from 'node:path';
import { systemClock } from '../runtime/clock.ts';
import { createHealth } from '../runtime/health.ts';
import { createLogger } from '../runtime/log.ts';
import { createMetrics } from '../runtime/metrics.ts';
import { untilAskedToStop } from '../runtime/shutdown.ts';
import { LabError } from './errors.ts';
import { labLayout } from './layout.ts';
import { readTopology } from './records.ts';
import { startSupervisor } from './supervisor.ts';

/** The supervisor's process: reads the topology below the lab's root folder, runs until SIGTERM. */
export async function runSupervisor(root: string): Promise<void> {
  const layout = labLayout(dirname(dirname(root)), basename(root));
  const topology = readTopology(layout);
  if (!topology) throw new LabError(`${layout.topologyFile} is missing or no JSON; bring the lab up with podwire lab up`);
  const log = createLogger({ name: 'podwire-supervisor' });
  const stopping = untilAskedToStop();
  const supervisor = await startSupervisor(topology, layout, topology.apiServerPort, {
    log,
    clock: systemClock,
    metrics: createMetrics(),
    health: createHealth(),
  });
  log.info({ signal: await stopping }, 'stopping');
  await supervisor.stop();
  process.exit(0);
}
