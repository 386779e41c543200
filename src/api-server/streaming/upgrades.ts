import { type IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** A connection that its client wants to use for something other than HTTP. */
export interface Upgrade {
  readonly socket: Duplex;
  /** What came along with the request. */
  readonly head: Buffer;
}

/** A connection that is silent for so long is asked whether it still stands (ms). */
const keepAlive = 60_000;

const upgrades = new WeakMap<IncomingMessage, Upgrade>();

/** The connection of a request that came by {@link routeUpgrade}; undefined for an ordinary one. */
export const upgradeOf = (request: IncomingMessage): Upgrade | undefined => upgrades.get(request);

/** Which requests leave HTTP here: others that offer to (`Upgrade: h2c`) are answered as they are. */
export const isUpgrade = ({ headers, url = '' }: IncomingMessage): boolean =>
  /^(websocket|SPDY\/3\.1)$/i.test(headers.upgrade ?? '') && /\/(exec|attach|portforward)(\?|$)/.test(url);

/**
 * Sends a request to leave HTTP the way of all others, so that it passes the same chain and its errors are answered alike. Who takes the
 * connection over finds it by {@link upgradeOf}. The connection ends after any ordinary answer.
 */
export function routeUpgrade(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  routing: (request: IncomingMessage, response: ServerResponse) => void,
): void {
  upgrades.set(request, { socket, head });
  socket.on('error', () => socket.destroy());
  // A client whose machine is gone says nothing any more.
  if (socket instanceof Socket) socket.setKeepAlive(true, keepAlive);
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket as never);
  response.once('finish', () => socket.end());
  routing(request, response);
}
