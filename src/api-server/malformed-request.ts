import type { Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { badRequest, StatusError } from './status-errors.ts';

/** Most bytes of a request's head: selectors and tokens are long, and Go takes a megabyte. */
export const maxHeaderSize = 256 * 1024;

/** Answers what is no HTTP at all, or has too large a head, with a Status as well; Node's own answer has no body. */
export function answerMalformedRequests(server: Server): void {
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
    const { status } = statusOf(error.code ?? '');
    const body = JSON.stringify(status);
    const head = `HTTP/1.1 ${status.code} ${status.reason}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n`;
    socket.end(head + body);
  });
}

function statusOf(code: string): StatusError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new StatusError({
        code: 431,
        reason: 'RequestHeaderFieldsTooLarge',
        message: `the head of the request has more than ${maxHeaderSize} bytes`,
      });
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new StatusError({ code: 408, reason: 'Timeout', message: 'the request did not come in time' });
    case 'HPE_INVALID_METHOD':
      return new StatusError({
        code: 405,
        reason: 'MethodNotAllowed',
        message: 'the server does not allow this method on the requested resource',
        details: {},
      });
    default:
      return badRequest(`the request is not valid HTTP (${code || 'unreadable'})`);
  }
}
