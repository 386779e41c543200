import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import { type Health, renderHealth } from './health.ts';
import type { PortAnswer } from './port-servers.ts';

export interface HealthServerOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
}

/**
 * Serves /healthz, /livez, /readyz (200 or 503, `?verbose` lists each check) and /metrics (Prometheus text) of one daemon.
 * A path of `answers` is answered by it instead. Returns the address it listens on and a function that closes it. Rejects with the socket's error,
 * e.g. EADDRINUSE.
 */
export async function startHealthServer(
  options: HealthServerOptions,
  health: Health,
  metrics: Registry,
  answers: ReadonlyMap<string, () => PortAnswer> = new Map(),
): Promise<{ address: AddressInfo; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    const answer = answers.get(pathname)?.();
    if (answer) return void response.writeHead(answer.code, answer.headers).end(answer.body);
    if (pathname === '/metrics') {
      metrics.metrics().then(
        (text) => response.writeHead(200, { 'content-type': metrics.contentType }).end(text),
        (error: unknown) => response.writeHead(500).end(String(error)),
      );
      return;
    }
    const endpoint = pathname.slice(1);
    if (endpoint !== 'healthz' && endpoint !== 'livez' && endpoint !== 'readyz') return void response.writeHead(404).end('not found\n');
    const report = endpoint === 'readyz' ? health.ready() : health.live();
    const text = report.ok && !searchParams.has('verbose') ? 'ok' : renderHealth(report, endpoint);
    response.writeHead(report.ok ? 200 : 503, { 'content-type': 'text/plain; charset=utf-8' }).end(text);
  });
  server.requestTimeout = 5_000;
  server.maxConnections = 64;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  return {
    address: server.address() as AddressInfo,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
