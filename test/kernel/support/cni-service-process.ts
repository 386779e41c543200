// The service of the node agent in a process of its own, so that it can be killed: BINDIR STATEDIR. Says `ready`, ends with its standard input.
import { startCniService } from '../../../src/cni-plugin/effects/service.ts';
import { systemRunner } from '../../../src/kernel/command-runner.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { createHealth } from '../../../src/runtime/health.ts';
import { silentLogger } from '../../../src/runtime/log.ts';
import { Registry } from '../../../src/runtime/metrics.ts';

const [binDir, stateDir] = process.argv.slice(2) as [string, string];
const context = { log: silentLogger(), clock: systemClock, metrics: new Registry(), health: createHealth() };
const service = await startCniService({ binDir, stateDir }, { runner: systemRunner }, context);
process.stdin.resume().once('end', () => void service.stop().then(() => process.exit(0)));
process.stdout.write('ready\n');
