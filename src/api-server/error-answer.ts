import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from '../runtime/log.ts';
import { encodeAnswer } from './encode.ts';
import { errorEncoding } from './negotiate.ts';
import { unknownFormat } from './decode.ts';
import { badRequest, internalError, methodNotAllowed, StatusError, tooLarge, unsupportedMediaType } from './status-errors.ts';

/** Codes of 500 and more that are no fault of ours, and not worth a line in the log. */
const expected: ReadonlySet<number> = new Set([501, 503, 504]);

/** Answers with a Status, whatever went wrong, in the encoding that the client reads. */
export async function sendError(
  log: Logger,
  bodyLimit: number,
  error: FastifyError | StatusError,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { status, headers } = toStatusError(error, bodyLimit);
  if (status.code >= 500 && !expected.has(status.code))
    log.error({ err: error, method: request.method, url: request.url }, 'request failed');
  // Who asked for what there is not gets what everybody reads.
  const encoding = status.code === 406 ? 'json' : errorEncoding(request.headers.accept);
  const { contentType, body } = await encodeAnswer(encoding, JSON.stringify(status));
  return reply.code(status.code).headers(headers).header('cache-control', 'no-cache, private').type(contentType).send(body);
}

function toStatusError(error: FastifyError | StatusError, bodyLimit: number): StatusError {
  if (error instanceof StatusError) return error;
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') return tooLarge(bodyLimit);
  if (error.statusCode === 405) return methodNotAllowed();
  if (error.statusCode === 415) return unsupportedMediaType(unknownFormat);
  if (error.statusCode !== undefined && error.statusCode < 500) return badRequest(error.message);
  return internalError(error.message);
}
