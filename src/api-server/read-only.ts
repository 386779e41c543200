import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { methodNotAllowed } from './status-errors.ts';

/** The methods that are told apart; others are refused before a route is looked for. */
export const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'] as const;

/** A path that is only read: other methods are 405. */
export function readOnly<Params>(
  app: FastifyInstance,
  url: string,
  handler: (request: FastifyRequest<{ Params: Params }>, reply: FastifyReply) => FastifyReply | Promise<FastifyReply>,
): void {
  app.route<{ Params: Params }>({
    method: [...methods],
    url,
    handler: (request, reply) => {
      if (request.method !== 'GET') throw methodNotAllowed();
      return handler(request, reply);
    },
  });
}
