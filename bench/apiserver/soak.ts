// A million updates of a hundred objects, with watchers that read them all: what the server holds must not grow.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BenchOptions, Report, Row } from '../table.ts';
import { startClients } from './clients.ts';
import { Connection, encodeRequest, type Endpoint } from './connection.ts';
import { makeCredentials } from './credentials.ts';
import { namespaceBody } from './objects.ts';
import { startPodwire } from './servers.ts';

const samples = 10;
const names = 100;
const clientsAtOnce = 64;
const watchers = 10;

export async function bench({ progress, updates }: BenchOptions): Promise<Report> {
  const folder = mkdtempSync(join(tmpdir(), 'podwire-soak-'));
  const clients = startClients();
  const rows: Row[] = [];
  try {
    const credentials = await makeCredentials(folder);
    const server = await startPodwire(folder, credentials);
    try {
      const { endpoint } = server;
      await clients.run(endpoint, { do: 'request', method: 'POST', path: '/api/v1/namespaces', body: namespaceBody('soak') });
      await clients.run(endpoint, { do: 'create', what: 'configmaps', namespace: 'soak', clients: 1, count: names, prefix: 'u' });
      for (let done = 1; done <= samples; done++) {
        const count = Math.round(updates / samples);
        const result = await clients.run(endpoint, { do: 'update', namespace: 'soak', names, clients: clientsAtOnce, watchers, count });
        const after = `after ${(count * done).toLocaleString('en')} updates`;
        const heap = await heapMegabytes(endpoint);
        progress(
          `${after}: ${server.megabytes().toFixed(1)} MB resident, ${heap.toFixed(1)} MB heap, ${result['perSecond']!.toFixed(0)} updates/s`,
        );
        rows.push({ name: `resident ${after}`, ours: server.megabytes(), references: [], unit: 'MB' });
        rows.push({ name: `heap in use ${after}`, ours: heap, references: [], unit: 'MB' });
        rows.push({ name: `updates ${after}`, ours: result['perSecond']!, references: [], unit: '/s' });
      }
    } finally {
      await server.stop();
    }
  } finally {
    clients.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  return {
    name: 'apiserver-soak',
    method: `PUTs of ${names} ConfigMaps by ${clientsAtOnce} clients over TLS while ${watchers} watchers read every event (their number is checked).
Heap in use: the least of 20 looks at /metrics, 50 ms apart, which is what is left when garbage has just been collected.`,
    references: [],
    rows,
  };
}

async function heapMegabytes(endpoint: Endpoint): Promise<number> {
  const connection = await Connection.open(endpoint);
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 20; i++) {
    const { body } = await connection.send(encodeRequest('GET', '/metrics'), true);
    least = Math.min(least, Number(/^nodejs_heap_size_used_bytes (\S+)$/m.exec(body)?.[1]) / 1e6);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  connection.close();
  return least;
}
