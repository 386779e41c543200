import type { FastifyReply, FastifyRequest } from 'fastify';
import { scaleColumns } from '../objects/index.ts';
import type { DaemonContext } from '../runtime/daemon.ts';
import type { ApiRequest } from './api-request.ts';
import type { AccessChain } from './auth/chain.ts';
import { handlerFor } from './dispatch.ts';
import { compress, encodeAnswer } from './encode.ts';
import { prepareWatch, type Watches } from './handlers/watch.ts';
import type { ServerMetrics } from './metrics.ts';
import { negotiate, protobufType, type Shape } from './negotiate.ts';
import type { Registry } from './registry/registry.ts';
import { parseRequestInfo, type RequestInfo } from './request-info.ts';
import { parseRequestTimeout } from './request-timeout.ts';
import type { Reviews } from './reviews/handler.ts';
import type { Streaming } from './streaming/streaming.ts';
import { parseIncludeObject, presentObject } from './table.ts';

export interface ServeParts {
  readonly registry: Registry;
  readonly watches: Watches;
  readonly metrics: ServerMetrics;
  /** Authentication, impersonation, limits and authorization, which every request passes first. */
  readonly access: AccessChain;
  /** What is asked and not stored. */
  readonly reviews: Reviews;
  /** What the kubelet of a pod's node answers. */
  readonly streaming: Streaming;
  readonly context: DaemonContext;
}

/** Answers a request to a resource, which has been authenticated and authorized. */
export async function serveResource(parts: ServeParts, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { registry, watches, metrics, reviews, context } = parts;
  const query = new URLSearchParams(request.query as URLSearchParams);
  const info = parseRequestInfo(request.method, request.url.split('?', 1)[0]!, query);
  const began = context.clock.monotonic();
  const finished = metrics.began(info);
  reply.raw.once('close', () => finished(reply.raw.statusCode, (context.clock.monotonic() - began) / 1_000));
  if (parts.streaming.serves(info)) return parts.streaming.serve(info, query, request, reply);
  parseRequestTimeout(query);
  const apiRequest = toApiRequest(parts, request, info, query);
  const reviewed = reviews.answers(info);
  if (info.verb === 'watch' && !reviewed) {
    const watch = await prepareWatch(registry, watches, apiRequest);
    const type = apiRequest.accepted.encoding === 'protobuf' ? `${protobufType};stream=watch` : 'application/json';
    reply.hijack();
    reply.raw.writeHead(200, { 'content-type': type, 'cache-control': 'no-cache, private' });
    reply.raw.flushHeaders();
    watch.start(reply.raw);
    return reply;
  }
  const { code, json: answered } = await (reviewed ? reviews.handle(apiRequest) : handlerFor(info)(registry, apiRequest));
  // A list makes its own forms: it alone need not parse what it only joins.
  const json = shapeOf(info) === 'one' ? presentOne(parts, apiRequest, answered) : answered;
  for (const warning of apiRequest.warnings) reply.raw.appendHeader('warning', warningValue(warning));
  reply.code(code).header('cache-control', 'no-cache, private');
  const { contentType, body } = await encodeAnswer(apiRequest.accepted.encoding, json);
  reply.type(contentType);
  const small = request.method === 'GET' ? await compress(request.headers['accept-encoding'], body) : undefined;
  if (!small) return reply.send(body);
  return reply.header('content-encoding', 'gzip').header('vary', 'Accept-Encoding').send(small);
}

function presentOne({ context }: ServeParts, { info, accepted, query }: ApiRequest, json: string): string {
  const columns = info.subresource === 'scale' ? scaleColumns : info.kind.columns;
  return presentObject(columns, json, accepted, { includeObject: parseIncludeObject(query), now: context.clock.now() });
}

function toApiRequest({ access }: ServeParts, request: FastifyRequest, info: RequestInfo, query: URLSearchParams): ApiRequest {
  return {
    info,
    query,
    body: { contentType: request.headers['content-type'] ?? '', bytes: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0) },
    accepted: negotiate(request.headers.accept, shapeOf(info)),
    user: request.user!,
    userAgent: request.headers['user-agent'] ?? '',
    requireCreate() {
      const { group, version, plural: resource } = info.kind.resource;
      const { namespace, name } = info;
      access.require(request.user!, { isResource: true, verb: 'create', group, version, resource, subresource: '', namespace, name });
    },
    warnings: [],
  };
}

/** Writes are answered in the forms that reads are: `kubectl scale -o wide` asks for a Table. */
function shapeOf({ verb, subresource, name, kind }: RequestInfo): Shape {
  if (kind.review || !['', 'status', 'scale', 'ephemeralcontainers'].includes(subresource)) return 'plain';
  if (verb === 'watch') return 'watch';
  return verb === 'list' || (verb === 'deletecollection' && name === '') ? 'list' : 'one';
}

/** RFC 7234 section 5.5: code 299, no agent, quoted text. Header values are printable ASCII. */
const warningValue = (text: string): string => `299 - "${text.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}"`;
