import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { type AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { joinHostPort } from '../../../net/index.ts';
import type { Logger } from '../../../runtime/log.ts';
import { PodRunnerError } from '../../errors.ts';

export interface KubeletApiFiles {
  readonly certFile: string;
  readonly privateKeyFile: string;
  /** Whose client certificates are believed. */
  readonly clientCAFile: string;
}

/** Answers one request of an API server. Errors it throws are answered with 500. */
export interface KubeletApiHandler {
  request(request: IncomingMessage, response: ServerResponse): void | Promise<void>;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void | Promise<void>;
}

export interface KubeletApiParts {
  readonly addresses: readonly string[];
  /** 0 takes any free port, the same on all addresses. */
  readonly port: number;
  readonly files: KubeletApiFiles;
  readonly handler: KubeletApiHandler;
  readonly log: Logger;
}

export interface KubeletApi {
  readonly port: number;
  close(): Promise<void>;
}

/** A connection that is silent for so long is asked whether it still stands (ms). */
const keepAlive = 60_000;

/** The API server's name as kubeadm makes its certificate, and the group that may do everything. */
const allowedUser = 'kube-apiserver-kubelet-client';
const allowedGroup = 'system:masters';

/** Opens kubelet's API: HTTPS, for API servers alone. @throws PodRunnerError for files that cannot be read and ports that are taken. */
export async function startKubeletApi(parts: KubeletApiParts): Promise<KubeletApi> {
  const tls = readFiles(parts.files);
  const sockets = new Set<Duplex>();
  const servers: Server[] = [];
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    await Promise.all(
      servers.map(
        (server) =>
          new Promise<void>((resolve) => {
            server.close(() => resolve());
            server.closeAllConnections();
          }),
      ),
    );
  };
  let port = parts.port;
  try {
    for (const address of parts.addresses) {
      const server = createServer({
        ...tls,
        requestCert: true,
        rejectUnauthorized: true,
        minVersion: 'TLSv1.2',
        shouldUpgradeCallback: ({ headers }) => /^(websocket|SPDY\/3\.1)$/i.test(headers.upgrade ?? ''),
      });
      serve(server, parts, sockets);
      await listen(server, address, port);
      servers.push(server);
      port = (server.address() as AddressInfo).port;
    }
    return { port, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function serve(server: Server, { handler, log }: KubeletApiParts, sockets: Set<Duplex>): void {
  server.headersTimeout = 10_000;
  server.requestTimeout = 60_000;
  server.maxConnections = 1_000;
  server.on('tlsClientError', (error) => log.debug({ err: error }, 'a client of the kubelet API was refused'));
  server.on('request', (request, response) => {
    const problem = accessProblem(request);
    if (problem) return sendText(response, ...problem);
    answer(async () => handler.request(request, response)).catch((error: unknown) => {
      log.error({ err: error, url: request.url }, 'a request to the kubelet API failed');
      if (!response.headersSent) sendText(response, 500, (error as Error).message);
      else response.destroy();
    });
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    if (socket instanceof Socket) socket.setKeepAlive(true, keepAlive);
    const problem = accessProblem(request);
    if (problem) return refuseUpgrade(socket, ...problem);
    answer(async () => handler.upgrade(request, socket, head)).catch((error: unknown) => {
      log.error({ err: error, url: request.url }, 'a request to the kubelet API failed');
      socket.destroy();
    });
  });
}

const answer = async (work: () => Promise<void>): Promise<void> => work();

/** Why this client may not; kubelet's words. A certificate that is not of the authority has not come this far. */
function accessProblem(request: IncomingMessage): readonly [code: number, text: string] | undefined {
  const socket = request.socket as TLSSocket;
  if (!socket.authorized) return [401, 'Unauthorized'];
  const { subject } = socket.getPeerCertificate() as { subject?: { CN?: string | string[]; O?: string | string[] } };
  const user = [subject?.CN ?? []].flat()[0] ?? '';
  if (user === allowedUser || [subject?.O ?? []].flat().includes(allowedGroup)) return undefined;
  const verb = request.method === 'POST' ? 'create' : 'get';
  return [403, `Forbidden (user=${user}, verb=${verb}, resource=nodes, subresource=proxy)`];
}

export function sendText(response: ServerResponse, code: number, text: string, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(code, { 'content-type': 'text/plain; charset=utf-8', ...headers });
  response.end(text);
}

/** Answers a request that wanted to leave HTTP with an error instead, and ends the connection. */
export function refuseUpgrade(socket: Duplex, code: number, text: string, headers: Readonly<Record<string, string>> = {}): void {
  const lines = Object.entries({
    'content-type': 'text/plain; charset=utf-8',
    'content-length': String(Buffer.byteLength(text)),
    connection: 'close',
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${code} ${code < 500 ? 'Refused' : 'Failed'}\r\n${lines.join('')}\r\n${text}`);
}

function readFiles({ certFile, privateKeyFile, clientCAFile }: KubeletApiFiles) {
  const read = (file: string, flag: string): Buffer => {
    try {
      return readFileSync(file);
    } catch (error) {
      throw new PodRunnerError(flag, `cannot read ${file}: ${(error as Error).message}`);
    }
  };
  return {
    cert: read(certFile, '--tls-cert-file'),
    key: read(privateKeyFile, '--tls-private-key-file'),
    ca: read(clientCAFile, '--client-ca-file'),
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const reason = error.code === 'EADDRINUSE' ? 'the port is in use; choose another with --port' : error.message;
      reject(new PodRunnerError(`kubelet API on ${joinHostPort(host, port)}`, reason));
    });
    server.listen({ host, port }, resolve);
  });
}
