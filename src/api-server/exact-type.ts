import type { FastifyReply } from 'fastify';

/** Sends a body under a media type that fastify would not let through as it is: clients compare it letter by letter. */
export function sendExactType(reply: FastifyReply, type: string, body: string | Buffer): FastifyReply {
  reply.hijack();
  reply.raw.writeHead(200, { 'content-type': type, 'content-length': Buffer.byteLength(body), vary: 'Accept' }).end(body);
  return reply;
}
