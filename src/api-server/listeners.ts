import { readFileSync } from 'node:fs';
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { joinHostPort } from '../net/index.ts';
import { isLoopback } from './loopback.ts';
import type { ApiServerOptions, TlsFiles } from './options.ts';

export interface Listeners {
  readonly addresses: readonly AddressInfo[];
  close(): Promise<void>;
}

type Routing = (request: IncomingMessage, response: ServerResponse) => void;

/**
 * Opens the server's sockets: the secure port, and the inherited one.
 * @throws Error in plain words when a file cannot be read, a port is taken, or plain HTTP is asked for beyond loopback.
 */
export async function startListeners({ bindAddress, securePort, tls, listenFd }: ApiServerOptions, routing: Routing): Promise<Listeners> {
  if (!tls) requireLoopback(bindAddress);
  const tlsOptions = tls && readTls(tls);
  const servers: Server[] = [];
  const open = async (where: { host: string; port: number } | { fd: number }): Promise<AddressInfo> => {
    const server = tlsOptions ? createHttpsServer(tlsOptions, routing) : createHttpServer(routing);
    limit(server);
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
    return { addresses, close };
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

/** A client certificate is asked for but not demanded: without one, health and version are answered. */
function readTls({ certFile, privateKeyFile, clientCAFile }: TlsFiles) {
  const read = (file: string, flag: string): Buffer => {
    try {
      return readFileSync(file);
    } catch (error) {
      throw new Error(`${flag}: cannot read ${file}: ${(error as Error).message}`, { cause: error });
    }
  };
  return {
    cert: read(certFile, '--tls-cert-file'),
    key: read(privateKeyFile, '--tls-private-key-file'),
    ca: read(clientCAFile, '--client-ca-file'),
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2' as const,
  };
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
