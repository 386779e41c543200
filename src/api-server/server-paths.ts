import type { FastifyInstance } from 'fastify';
import { servedKinds } from '../objects/index.ts';
import type { DaemonContext } from '../runtime/daemon.ts';
import { healthPaths, registerHealth } from './health-paths.ts';
import { readOnly } from './read-only.ts';
import { versionInfo } from './version.ts';

const ownPaths = ['/api', '/apis', '/apis/', '/metrics', '/openapi/v2', '/openapi/v3', '/openapi/v3/', '/version'];

/** Paths of the server itself: its index, /version, /metrics and health. */
export function registerServerPaths(app: FastifyInstance, { health, metrics }: Pick<DaemonContext, 'health' | 'metrics'>): void {
  readOnly(app, '/', (_request, reply) => {
    const groups = servedKinds.flatMap(({ resource: { group, version } }) =>
      group ? [`/apis/${group}`, `/apis/${group}/${version}`] : [`/api/${version}`],
    );
    const paths = [...new Set([...ownPaths, ...groups, ...healthPaths(health)])].toSorted();
    return reply.type('application/json').send(JSON.stringify({ paths }));
  });
  readOnly(app, '/version', (_request, reply) => reply.type('application/json').send(JSON.stringify(versionInfo())));
  readOnly(app, '/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.metrics()));
  registerHealth(app, health);
}
