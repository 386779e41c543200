import assert from 'node:assert/strict';
import { startApiServer } from '../../src/api-server/server.ts';
import { parsePrefix } from '../../src/net/index.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { createHealth } from '../../src/runtime/health.ts';
import { silentLogger } from '../../src/runtime/log.ts';
import { createMetrics } from '../../src/runtime/metrics.ts';
import { createMemoryStore } from '../../src/storage/index.ts';

const server = await startApiServer(
  {
    dataDir: '',
    bindAddress: '127.0.0.1',
    securePort: 0,
    advertiseAddress: '192.168.88.11',
    serviceClusterIPRanges: [parsePrefix('10.96.0.0/16')],
    serviceNodePortRange: { first: 30_000, last: 32_767 },
    tls: undefined,
    listenFd: undefined,
    eventTtlSeconds: 3_600,
    historyRevisions: 10_000,
  },
  { log: silentLogger(), clock: systemClock, metrics: createMetrics(), health: createHealth() },
  createMemoryStore(),
);
const services = `http://127.0.0.1:${server.addresses[0]!.port}/api/v1/namespaces/default/services`;

const response = await fetch(services, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ metadata: { name: 'web' }, spec: { selector: { app: 'web' }, ports: [{ port: 80 }] } }),
});
assert.equal(response.status, 201);
const { spec } = await response.json();
assert.match(spec.clusterIP, /^10\.96\./);
assert.equal((await fetch(`${services}/none`)).status, 404);
await server.stop();
