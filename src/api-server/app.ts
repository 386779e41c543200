import { fastify, type FastifyError, type FastifyInstance, type FastifyReply } from 'fastify';
import type { User } from './access.ts';
import { keySetPath, type OpenIdDocuments } from './auth/service-accounts/open-id.ts';
import { registerDiscovery } from './discovery-routes.ts';
import { sendError } from './error-answer.ts';
import { registerOpenApi } from './openapi.ts';
import { methods, readOnly } from './read-only.ts';
import { type ServeParts, serveResource } from './serve.ts';
import { registerServerPaths } from './server-paths.ts';
import { methodNotAllowed, noSuchPath, type StatusError } from './status-errors.ts';

/** Largest body of a request, as the reference. */
const bodyLimit = 3 * 1024 * 1024;

declare module 'fastify' {
  interface FastifyRequest {
    /** Set once authenticated. */
    user: User | undefined;
  }
}

export interface AppParts extends ServeParts {
  readonly openId: OpenIdDocuments | undefined;
  /** host:port, told by /api. */
  readonly serverAddress: string;
}

const noCompiler = (): never => {
  throw new Error('routes have no schemas');
};

/**
 * The HTTP interface: authenticate -> authorize -> (admit -> store, in the registry). It listens nowhere by itself; servers share its `routing`.
 */
export async function createApp(parts: AppParts): Promise<FastifyInstance> {
  const app = fastify({
    bodyLimit,
    exposeHeadRoutes: false,
    forceCloseConnections: true,
    return503OnClosing: false,
    // No route has a schema: objects are checked by the tables of objects/. Without this ajv is loaded all the same.
    schemaController: { compilersFactory: { buildValidator: () => noCompiler, buildSerializer: () => noCompiler } },
    routerOptions: {
      querystringParser: (text) => new URLSearchParams(text) as never,
      maxParamLength: 1_000,
      ignoreTrailingSlash: true,
    },
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.decorateRequest('user', undefined);
  app.addHook('onRequest', async (request, reply) => {
    request.user = (await parts.access.admit(request.raw, reply.raw)).user;
  });
  app.setErrorHandler((error: FastifyError | StatusError, request, reply) =>
    sendError(parts.context.log, bodyLimit, error, request, reply),
  );
  app.setNotFoundHandler(({ method }) => {
    throw known.has(method) ? noSuchPath() : methodNotAllowed();
  });
  registerServerPaths(app, parts.context);
  registerDiscovery(app, parts.serverAddress);
  registerOpenApi(app);
  registerOpenId(app, parts.openId);
  noCustomResources(app, parts.registry);
  for (const url of resourceRoutes) {
    app.route({
      method: [...methods],
      url,
      handler: (request, reply) => serveResource(parts, request, reply),
    });
  }
  await app.ready();
  return app;
}

const resourceRoutes: readonly string[] = ['/api/:version/*', '/apis/:group/:version/*'];
const known: ReadonlySet<string> = new Set(methods);

/** How others verify the tokens of our ServiceAccounts. */
function registerOpenId(app: FastifyInstance, documents: OpenIdDocuments | undefined): void {
  if (!documents) return;
  const send = (reply: FastifyReply, type: string, json: string): FastifyReply =>
    reply.header('cache-control', 'public, max-age=3600').type(type).send(json);
  readOnly(app, '/.well-known/openid-configuration', (_request, reply) => send(reply, 'application/json', documents.configuration));
  readOnly(app, keySetPath, (_request, reply) => send(reply, 'application/jwk-set+json', documents.keySet));
}

/** There are no custom resources; kubectl lists their definitions before it says that it does not know a kind. */
const noCustomResources = (app: FastifyInstance, { cache }: AppParts['registry']): void =>
  readOnly(app, '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', (_request, reply) => {
    const metadata = { resourceVersion: String(cache.revision()) };
    return reply
      .type('application/json')
      .send(JSON.stringify({ kind: 'CustomResourceDefinitionList', apiVersion: 'apiextensions.k8s.io/v1', metadata, items: [] }));
  });
