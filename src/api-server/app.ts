import { fastify, type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { kinds } from '../objects/index.ts';
import type { DaemonContext } from '../runtime/daemon.ts';
import { renderHealth } from '../runtime/health.ts';
import type { Authorizer, Attributes, Authenticator, User } from './access.ts';
import { publicPaths } from './access.ts';
import type { ApiRequest } from './api-request.ts';
import {
  aggregatedContentType,
  aggregatedDiscovery,
  aggregatedVersion,
  apiGroup,
  apiGroupList,
  apiResourceList,
  apiVersions,
} from './discovery.ts';
import { handlerFor } from './dispatch.ts';
import { sendExactType } from './exact-type.ts';
import { prepareWatch, type Watches } from './handlers/watch.ts';
import type { ServerMetrics } from './metrics.ts';
import { negotiate } from './negotiate.ts';
import { registerOpenApi } from './openapi.ts';
import type { Registry } from './registry/registry.ts';
import { parseRequestInfo, type RequestInfo } from './request-info.ts';
import {
  badRequest,
  forbidden,
  internalError,
  methodNotAllowed,
  noSuchPath,
  StatusError,
  tooLarge,
  unauthorized,
} from './status-errors.ts';
import { versionInfo } from './version.ts';

/** Largest body of a request, as the reference. */
const bodyLimit = 3 * 1024 * 1024;

declare module 'fastify' {
  interface FastifyRequest {
    /** Set once authenticated. */
    user: User | undefined;
  }
}

export interface AppParts {
  readonly registry: Registry;
  readonly watches: Watches;
  readonly authenticate: Authenticator;
  readonly authorize: Authorizer;
  readonly metrics: ServerMetrics;
  /** host:port, told by /api. */
  readonly serverAddress: string;
  readonly context: DaemonContext;
}

/**
 * The HTTP interface: authenticate -> authorize -> (admit -> store, in the registry). It listens nowhere by itself; servers share its `routing`.
 */
export async function createApp(parts: AppParts): Promise<FastifyInstance> {
  const app = fastify({
    bodyLimit,
    exposeHeadRoutes: false,
    forceCloseConnections: true,
    return503OnClosing: false,
    routerOptions: { querystringParser: (text) => new URLSearchParams(text) as never, maxParamLength: 1_000 },
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.decorateRequest('user', undefined);
  app.addHook('onRequest', async (request) => authenticate(parts, request));
  app.setErrorHandler((error: FastifyError | StatusError, request, reply) => sendError(parts.context, error, request, reply));
  app.setNotFoundHandler(() => {
    throw noSuchPath();
  });
  registerServerPaths(app, parts);
  registerDiscovery(app, parts.serverAddress);
  registerOpenApi(app);
  noCustomResources(app, parts.registry);
  for (const url of resourceRoutes) {
    app.route({
      method: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
      url,
      handler: (request, reply) => serveResource(parts, request, reply),
    });
  }
  await app.ready();
  return app;
}

const resourceRoutes: readonly string[] = ['/api/:version/*', '/apis/:group/:version/*'];

const pathOf = (request: FastifyRequest): string => request.url.split('?', 1)[0]!;
const queryOf = (request: FastifyRequest): URLSearchParams => request.query as URLSearchParams;

/** The chain's first two links for all that is no resource; resources are authorized once it is known which. */
function authenticate({ authenticate: identify, authorize }: AppParts, request: FastifyRequest): void {
  const path = pathOf(request);
  request.user = identify(request.raw.socket);
  if (publicPaths.has(path)) return;
  if (!request.user) throw unauthorized();
  if (!resourceRoutes.includes(request.routeOptions.url ?? ''))
    check(authorize, request.user, { verb: request.method.toLowerCase(), path });
}

function check(authorize: Authorizer, user: User, attributes: Attributes): void {
  const { allowed, reason } = authorize(user, attributes);
  if (allowed) return;
  if ('kind' in attributes) {
    const { verb, kind, name } = attributes;
    throw forbidden(
      kind.resource,
      name,
      `User "${user.name}" cannot ${verb} resource "${kind.resource.plural}" in API group "${kind.resource.group}": ${reason}`,
    );
  }
  throw new StatusError({
    code: 403,
    reason: 'Forbidden',
    message: `forbidden: User "${user.name}" cannot ${attributes.verb} path "${attributes.path}": ${reason}`,
    details: {},
  });
}

async function serveResource(parts: AppParts, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { registry, watches, metrics, authorize, context } = parts;
  const query = queryOf(request);
  const info = parseRequestInfo(request.method, pathOf(request), query);
  const began = context.clock.monotonic();
  reply.raw.once('close', () => {
    const seconds = info.verb === 'watch' ? undefined : (context.clock.monotonic() - began) / 1_000;
    metrics.observe(info, reply.raw.statusCode, seconds);
  });
  check(authorize, request.user!, info);
  const apiRequest = toApiRequest(request, info, query);
  if (info.verb === 'watch') {
    const watch = await prepareWatch(registry, watches, apiRequest);
    reply.hijack();
    reply.raw.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
    reply.raw.flushHeaders();
    watch.start(reply.raw);
    return reply;
  }
  const { code, json } = await handlerFor(info)(registry, apiRequest);
  for (const warning of apiRequest.warnings) reply.raw.appendHeader('warning', warningValue(warning));
  reply.code(code).header('cache-control', 'no-cache, private');
  if (apiRequest.accepted.encoding === 'json') return reply.type('application/json').send(json);
  const { stringify } = await import('yaml');
  return reply.type('application/yaml').send(stringify(JSON.parse(json)));
}

function toApiRequest(request: FastifyRequest, info: RequestInfo, query: URLSearchParams): ApiRequest {
  const reads = info.verb === 'get' || info.verb === 'list' || info.verb === 'watch';
  return {
    info,
    query,
    body: { contentType: request.headers['content-type'] ?? '', bytes: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0) },
    accepted: negotiate(request.headers.accept, { forms: reads && info.subresource === '' }),
    user: request.user!,
    warnings: [],
  };
}

/** RFC 7234 section 5.5: code 299, no agent, quoted text. Header values are printable ASCII. */
const warningValue = (text: string): string => `299 - "${text.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}"`;

function registerServerPaths(app: FastifyInstance, { context }: AppParts): void {
  app.get('/version', (_request, reply) => reply.type('application/json').send(JSON.stringify(versionInfo())));
  for (const endpoint of ['healthz', 'livez', 'readyz']) {
    app.get(`/${endpoint}`, (request, reply) => {
      const report = endpoint === 'readyz' ? context.health.ready() : context.health.live();
      const text = report.ok && !queryOf(request).has('verbose') ? 'ok' : renderHealth(report, endpoint);
      return reply
        .code(report.ok ? 200 : 500)
        .type('text/plain; charset=utf-8')
        .send(text);
    });
  }
  app.get('/metrics', async (_request, reply) => reply.type(context.metrics.contentType).send(await context.metrics.metrics()));
}

function registerDiscovery(app: FastifyInstance, serverAddress: string): void {
  const json = (reply: FastifyReply, body: object | undefined): FastifyReply => {
    if (!body) throw noSuchPath();
    return reply.type('application/json').send(JSON.stringify(body));
  };
  for (const core of [true, false]) {
    app.get(core ? '/api' : '/apis', (request, reply) => {
      reply.header('vary', 'Accept');
      const version = aggregatedVersion(request.headers.accept);
      if (!version) return json(reply, core ? apiVersions(serverAddress) : apiGroupList(kinds));
      return sendExactType(reply, aggregatedContentType(version), JSON.stringify(aggregatedDiscovery(kinds, core, version)));
    });
  }
  app.get<{ Params: { version: string } }>('/api/:version', (request, reply) =>
    json(reply, apiResourceList(kinds, '', request.params.version)),
  );
  app.get<{ Params: { group: string } }>('/apis/:group', (request, reply) => json(reply, apiGroup(kinds, request.params.group)));
  app.get<{ Params: { group: string; version: string } }>('/apis/:group/:version', ({ params }, reply) =>
    json(reply, apiResourceList(kinds, params.group, params.version)),
  );
}

/** There are no custom resources; kubectl lists their definitions before it says that it does not know a kind. */
const noCustomResources = (app: FastifyInstance, { cache }: Registry): void =>
  void app.get('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', (_request, reply) => {
    const metadata = { resourceVersion: String(cache.revision()) };
    return reply
      .type('application/json')
      .send(JSON.stringify({ kind: 'CustomResourceDefinitionList', apiVersion: 'apiextensions.k8s.io/v1', metadata, items: [] }));
  });

function sendError({ log }: DaemonContext, error: FastifyError | StatusError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { status, headers } = toStatusError(error);
  if (status.code >= 500 && status.code !== 504 && status.code !== 501)
    log.error({ err: error, method: request.method, url: request.url }, 'request failed');
  return reply.code(status.code).headers(headers).type('application/json').send(JSON.stringify(status));
}

function toStatusError(error: FastifyError | StatusError): StatusError {
  if (error instanceof StatusError) return error;
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') return tooLarge(bodyLimit);
  if (error.statusCode === 405) return methodNotAllowed();
  if (error.statusCode !== undefined && error.statusCode < 500) return badRequest(error.message);
  return internalError(error.message);
}
