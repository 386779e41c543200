import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { isLoopback, joinHostPort } from '../net/index.ts';
import { answerMalformedRequests, maxHeaderSize } from './malformed-request.ts';
import type { ApiServerOptions } from './options.ts';
import { isUpgrade, routeUpgrade } from './streaming/upgrades.ts';
import { isTrustedBy, readTlsFiles, type TlsMaterial } from './tls-files.ts';

export interface Listeners {
  readonly addresses: readonly AddressInfo[];
  /** Puts other certificates into use. For listeners with TLS alone. */
  renewTls(next: TlsMaterial, before: TlsMaterial): void;
  close(): Promise<void>;
}

type Routing = (request: IncomingMessage, response: ServerResponse) => void;

/**
 * Opens the server's sockets: the secure port, and the inherited one.
 * @throws Error in plain words when a file cannot be read, a port is taken, or plain HTTP is asked for beyond loopback.
 */
export async function startListeners({ bindAddress, securePort, tls, listenFd }: ApiServerOptions, routing: Routing): Promise<Listeners> {
  if (!tls) requireLoopback(bindAddress);
  const tlsOptions = tls && { ...readTlsFiles(tls), ...clientCertificates };
  const servers: Server[] = [];
  const sockets = new Set<TLSSocket>();
  const open = async (where: { host: string; port: number } | { fd: number }): Promise<AddressInfo> => {
    const upgrades = { shouldUpgradeCallback: isUpgrade, maxHeaderSize };
    const server = tlsOptions ? createHttpsServer({ ...tlsOptions, ...upgrades }, routing) : createHttpServer(upgrades, routing);
    server.on('upgrade', (request, socket, head) => routeUpgrade(request, socket, head, routing));
    server.on('secureConnection', (socket: TLSSocket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    });
    limit(server);
    answerMalformedRequests(server);
    await listen(server, where);
    servers.push(server);
    return server.address() as AddressInfo;
  };
  const close = async (): Promise<void> => {
    await Promise.all(
      servers.map((server) => {
        const closed = new Promise<void>((resolve) => server.close(() => resolve()));
        server.closeIdleConnections();
        // Answers under way get a moment; watches were ended before.
        const force = setTimeout(() => server.closeAllConnections(), 1_000);
        return closed.finally(() => clearTimeout(force));
      }),
    );
  };
  try {
    const addresses = [await open({ host: bindAddress, port: securePort })];
    if (listenFd !== undefined) addresses.push(await open({ fd: listenFd }));
    const renewTls = (next: TlsMaterial, before: TlsMaterial): void => {
      for (const server of servers) renew(server, sockets, next, before);
    };
    return { addresses, renewTls, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function requireLoopback(bindAddress: string): void {
  if (isLoopback(bindAddress)) return;
  throw new Error(
    `plain HTTP is served on loopback addresses alone, not on ${bindAddress}; give --tls-cert-file, --tls-private-key-file and --client-ca-file`,
  );
}

/** A client certificate is asked for but not demanded: bearer tokens come without one, and health and version are told to anybody. */
const clientCertificates = { requestCert: true, rejectUnauthorized: false } as const;

/** Connections from now on get the new certificates. Those whose client certificate is no longer believed end. */
function renew(server: Server, sockets: ReadonlySet<TLSSocket>, next: TlsMaterial, before: TlsMaterial): void {
  (server as HttpsServer).setSecureContext(next);
  if (next.ca === before.ca) return;
  for (const socket of sockets) if (socket.authorized && !isTrustedBy(socket, next.ca)) socket.destroy();
}

/** Bounds for clients that are slow or mean. A watch is an answer, which none of these ends. */
function limit(server: Server): void {
  server.headersTimeout = 10_000;
  server.requestTimeout = 60_000;
  // Longer than our own clients keep a connection, so that they are the ones who close it.
  server.keepAliveTimeout = 90_000;
  server.maxConnections = 10_000;
  server.on('connection', (socket) => socket.setNoDelay(true));
}

function listen(server: Server, where: { host: string; port: number } | { fd: number }): Promise<void> {
  const place = 'fd' in where ? `the inherited socket ${where.fd}` : joinHostPort(where.host, where.port);
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(new Error(explain(error, place), { cause: error })));
    server.listen('fd' in where ? where : { ...where, backlog: 1_024 }, resolve);
  });
}

function explain(error: NodeJS.ErrnoException, place: string): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return `cannot listen on ${place}: the port is in use; stop the process that has it, or choose another with --secure-port`;
    case 'EADDRNOTAVAIL':
      return `cannot listen on ${place}: the address is not on this machine; choose another with --bind-address`;
    case 'EACCES':
      return `cannot listen on ${place}: not permitted`;
    default:
      return `cannot listen on ${place}: ${error.message}`;
  }
}
