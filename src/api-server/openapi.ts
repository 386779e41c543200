import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { openApiV2Document, openApiV2Protobuf, openApiV3Document, openApiV3Paths } from '../objects/index.ts';
import { compress } from './encode.ts';
import { parseAccept } from './negotiate.ts';
import { readOnly } from './read-only.ts';
import { noSuchPath, notAcceptable } from './status-errors.ts';

/** Clients ask for it with an @, which is not allowed in a media type; the answer names it properly. */
const v2Protobuf: ReadonlySet<string> = new Set([
  'application/com.github.proto-openapi.spec.v2@v1.0+protobuf',
  'application/com.github.proto-openapi.spec.v2.v1.0+protobuf',
]);
const v2ProtobufType = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';
const json: ReadonlySet<string> = new Set(['application/json', 'application/*', '*/*']);

interface Document {
  readonly type: string;
  readonly body: Buffer;
  /** An entity tag, quotes included. */
  readonly etag: string;
}

function toDocument(type: string, content: string | Uint8Array): Document {
  const body = Buffer.from(content as Uint8Array);
  return { type, body, etag: `"${createHash('sha256').update(body).digest('hex').toUpperCase()}"` };
}

const toJson = (value: object): Document => toDocument('application/json', JSON.stringify(value));

/** /openapi/v3 and its documents, and /openapi/v2 in JSON and protobuf. Documents are made when first asked for, and kept. */
export function registerOpenApi(app: FastifyInstance): void {
  const made = new Map<string, Document>();
  const keep = (key: string, make: () => Document | undefined): Document => {
    const document = made.get(key) ?? make();
    if (!document) throw noSuchPath();
    made.set(key, document);
    return document;
  };
  const v3 = (request: FastifyRequest, reply: FastifyReply, group: string, version: string): Promise<FastifyReply> => {
    const document = keep(`${group}/${version}`, () => {
      const content = openApiV3Document(group, version);
      return content && toJson(content);
    });
    // A document under its hash never changes.
    if ((request.query as URLSearchParams).has('hash')) reply.raw.setHeader('cache-control', 'public, immutable, max-age=31536000');
    return send(request, reply, document);
  };

  readOnly(app, '/openapi/v3', (request, reply) =>
    send(
      request,
      reply,
      keep('v3', () => toJson(openApiV3Paths())),
    ),
  );
  readOnly<{ version: string }>(app, '/openapi/v3/api/:version', (request, reply) => v3(request, reply, '', request.params.version));
  readOnly<{ group: string; version: string }>(app, '/openapi/v3/apis/:group/:version', (request, reply) =>
    v3(request, reply, request.params.group, request.params.version),
  );
  readOnly(app, '/openapi/v2', (request, reply) => {
    for (const { type } of parseAccept(request.headers.accept)) {
      if (json.has(type))
        return send(
          request,
          reply,
          keep('v2', () => toJson(openApiV2Document())),
        );
      if (v2Protobuf.has(type))
        return send(
          request,
          reply,
          keep('v2.pb', () => toDocument(v2ProtobufType, openApiV2Protobuf())),
        );
    }
    throw notAcceptable(['application/json', v2ProtobufType]);
  });
}

/** Past fastify, which would not let every media type through as it is: clients compare it letter by letter. */
async function send({ headers }: FastifyRequest, reply: FastifyReply, { type, body, etag }: Document): Promise<FastifyReply> {
  reply.raw.setHeader('etag', etag);
  reply.raw.setHeader('vary', 'Accept, Accept-Encoding');
  const known = (headers['if-none-match'] ?? '').split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
  const small = known ? undefined : await compress(headers['accept-encoding'], body);
  reply.hijack();
  if (known) {
    reply.raw.writeHead(304).end();
    return reply;
  }
  const content = small ?? body;
  if (small) reply.raw.setHeader('content-encoding', 'gzip');
  reply.raw.writeHead(200, { 'content-type': type, 'content-length': content.length }).end(content);
  return reply;
}
