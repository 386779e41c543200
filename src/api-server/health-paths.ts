// /healthz, /livez and /readyz, and each of their checks (the reference's server/healthz).
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Health, HealthReport } from '../runtime/health.ts';
import { methods } from './read-only.ts';

const endpoints = ['healthz', 'livez', 'readyz'] as const;
type Endpoint = (typeof endpoints)[number];
type Check = HealthReport['checks'][number];

const checksOf = (health: Health, endpoint: Endpoint): Check[] => [
  { name: 'ping' },
  ...(endpoint === 'readyz' ? health.ready() : health.live()).checks,
];

/** Every path there is, for the index. */
export const healthPaths = (health: Health): string[] =>
  endpoints.flatMap((endpoint) => [`/${endpoint}`, ...checksOf(health, endpoint).map(({ name }) => `/${endpoint}/${name}`)]);

/** The reference answers health to any method. */
export function registerHealth(app: FastifyInstance, health: Health): void {
  for (const endpoint of endpoints) {
    app.route({ method: [...methods], url: `/${endpoint}`, handler: (request, reply) => sendAll(health, endpoint, request, reply) });
    app.route<{ Params: { '*': string } }>({
      method: [...methods],
      url: `/${endpoint}/*`,
      handler({ params }, reply) {
        const check = checksOf(health, endpoint).find(({ name }) => name === params['*']);
        if (!check) return reply.callNotFound();
        // Who may see one check may see why it fails.
        return check.problem === undefined ? send(reply, 200, 'ok') : send(reply, 500, `internal server error: ${check.problem}\n`);
      },
    });
  }
}

function sendAll(health: Health, endpoint: Endpoint, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const query = request.query as URLSearchParams;
  const excluded = new Set(query.getAll('exclude'));
  const lines: string[] = [];
  let ok = true;
  for (const { name, problem } of checksOf(health, endpoint)) {
    if (excluded.delete(name)) lines.push(`[+]${name} excluded: ok`);
    else if (problem === undefined) lines.push(`[+]${name} ok`);
    else {
      ok = false;
      // Anybody may ask; reasons are for those who may ask for the check itself.
      lines.push(`[-]${name} failed: reason withheld`);
    }
  }
  if (excluded.size > 0) {
    const names = [...excluded].toSorted().map((name) => JSON.stringify(name));
    lines.push(`warn: some health checks cannot be excluded: no matches for ${names.join(', ')}`);
  }
  if (ok && !query.has('verbose')) return send(reply, 200, 'ok');
  return send(reply, ok ? 200 : 500, [...lines, `${endpoint} check ${ok ? 'passed' : 'failed'}`, ''].join('\n'));
}

const send = (reply: FastifyReply, code: number, text: string): FastifyReply =>
  reply
    .code(code)
    .header('cache-control', 'no-cache, private')
    .header('x-content-type-options', 'nosniff')
    .type('text/plain; charset=utf-8')
    .send(text);
