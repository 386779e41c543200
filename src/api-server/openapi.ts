import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { openApiV2Protobuf, openApiV3Document, openApiV3Paths } from '../objects/index.ts';
import { sendExactType } from './exact-type.ts';
import { notAcceptable, noSuchPath } from './status-errors.ts';
import { parseAccept } from './negotiate.ts';

/** Clients ask for it with an @, which is not allowed in a media type; the answer names it properly. */
const askedV2Types: ReadonlySet<string> = new Set([
  'application/com.github.proto-openapi.spec.v2@v1.0+protobuf',
  'application/com.github.proto-openapi.spec.v2.v1.0+protobuf',
  'application/*',
  '*/*',
]);
const v2Type = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';

/** /openapi/v3 and its documents, and /openapi/v2 in protobuf alone. Documents are made when first asked for, and kept. */
export function registerOpenApi(app: FastifyInstance): void {
  const documents = new Map<string, string | undefined>();
  let index: string | undefined;
  let v2: Buffer | undefined;

  app.get('/openapi/v3', (_request, reply) => reply.type('application/json').send((index ??= JSON.stringify(openApiV3Paths()))));

  const sendDocument = (request: FastifyRequest, reply: FastifyReply, group: string, version: string): FastifyReply => {
    const key = `${group}/${version}`;
    const text = documents.get(key) ?? JSON.stringify(openApiV3Document(group, version));
    if (text === undefined) throw noSuchPath();
    documents.set(key, text);
    // A document under its hash never changes.
    if ((request.query as URLSearchParams).has('hash')) reply.header('cache-control', 'public, immutable, max-age=31536000');
    return reply.type('application/json').send(text);
  };
  app.get<{ Params: { version: string } }>('/openapi/v3/api/:version', (request, reply) =>
    sendDocument(request, reply, '', request.params.version),
  );
  app.get<{ Params: { group: string; version: string } }>('/openapi/v3/apis/:group/:version', (request, reply) =>
    sendDocument(request, reply, request.params.group, request.params.version),
  );

  app.get('/openapi/v2', (request, reply) => {
    const accepted = parseAccept(request.headers.accept).some(({ type }) => askedV2Types.has(type));
    if (!accepted) throw notAcceptable([v2Type]);
    v2 ??= Buffer.from(openApiV2Protobuf());
    return sendExactType(reply, v2Type, v2);
  });
}
