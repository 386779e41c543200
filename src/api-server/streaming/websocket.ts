import type { IncomingMessage } from 'node:http';
import { type WebSocket, WebSocketServer } from 'ws';
import { largestMessage } from '../../transport/websocket-channels.ts';
import type { Upgrade } from './upgrades.ts';

/** Completes a client's WebSocket handshake with one of the subprotocols it offered. Resolves to nothing when it was no valid handshake, which is answered. */
export function acceptWebsocket(request: IncomingMessage, { socket, head }: Upgrade, protocol: string): Promise<WebSocket | undefined> {
  const server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: largestMessage,
    handleProtocols: () => protocol,
  });
  return new Promise((resolve) => {
    socket.once('close', () => resolve(undefined));
    server.handleUpgrade(request, socket, head, resolve);
  });
}
