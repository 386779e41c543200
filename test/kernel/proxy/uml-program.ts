// The program that runs in user-mode Linux: all that needs the kernel of mode ipvs, in one boot. The argument is the variant; prints UmlResults as JSON.
import { mkdirSync } from 'node:fs';
import type { Variant } from '../../kube-proxy/scenario-objects.ts';
import { createShellRunner } from '../support/shell-runner.ts';
import { startBed } from './bed.ts';
import { runRandomPackets } from './random-packets.ts';
import { type RowResult, runScenarios } from './scenario-runner.ts';
import { runStateRows } from './state-rows.ts';
import { createWorld } from './world.ts';

export interface UmlResults {
  readonly rows: readonly RowResult[];
  readonly random: readonly RowResult[];
  readonly states: readonly RowResult[];
}

const variant = JSON.parse(process.argv[2]!) as Variant;
mkdirSync('/run/daemon');
const shell = createShellRunner('/run/tmp');
const bed = await startBed('', shell);
try {
  const states = await runStateRows(createWorld(bed, variant, { options: { families: ['IPv4'] }, shellFolder: '/run/daemon' }));
  const random = await runRandomPackets(bed, variant, 10, 50, 5);
  const rows = await runScenarios(bed, variant);
  process.stdout.write(JSON.stringify({ rows, random, states } satisfies UmlResults));
} finally {
  await bed.stop();
  shell.stop();
}
