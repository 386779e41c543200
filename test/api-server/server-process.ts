// Runs an API server on the port and folder given, over plain loopback HTTP, until it is killed. Prints `ready` when it serves.
import { startApiServer } from '../../src/api-server/server.ts';
import { parsePrefix } from '../../src/net/index.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { createHealth } from '../../src/runtime/health.ts';
import { silentLogger } from '../../src/runtime/log.ts';
import { Registry } from '../../src/runtime/metrics.ts';

const [, , dataDir = '', port = '', fd = ''] = process.argv;
await startApiServer(
  {
    dataDir,
    bindAddress: '127.0.0.1',
    securePort: Number(port),
    advertiseAddress: '192.168.88.11',
    serviceClusterIPRanges: [parsePrefix('10.96.0.0/16')],
    serviceNodePortRange: { first: 30_000, last: 32_767 },
    tls: undefined,
    listenFd: fd === '' ? undefined : Number(fd),
    eventTtlSeconds: 3_600,
    historyRevisions: 10_000,
    security: { disabledAdmission: ['ServiceAccount'] },
  },
  { log: silentLogger(), clock: systemClock, metrics: new Registry(), health: createHealth() },
);
process.stdout.write('ready\n');
