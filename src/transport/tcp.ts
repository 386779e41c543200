import { createConnection, createServer, isIPv6, type Socket } from 'node:net';

export interface TcpEndpoint {
  /** IP address in canonical text form. */
  readonly address: string;
  readonly port: number;
}

/** What a connection tells its owner. Nothing is called after `closed`. */
export interface TcpHandlers {
  data(bytes: Uint8Array): void;
  /** The peer has ended, the connection was lost, or we closed it; `error` when it did not end in order. */
  closed(error?: Error): void;
  /** What was held back by `write` returning false has left. */
  drained?(): void;
}

export interface TcpConnection {
  readonly local: TcpEndpoint;
  readonly remote: TcpEndpoint;
  /** Takes the connection over; bytes that came before are delivered then. Called once. */
  attach(handlers: TcpHandlers): void;
  /** Queues bytes. False when the queue is long: hold back until `drained`. */
  write(bytes: Uint8Array): boolean;
  /** Sends what is queued, then FIN. */
  end(): void;
  /** Closes at once; queued bytes may be lost. */
  destroy(): void;
}

export interface TcpListener {
  readonly address: TcpEndpoint;
  /** Stops listening; accepted connections live on. */
  close(): Promise<void>;
}

export interface TcpConnectOptions extends TcpEndpoint {
  /** The source address; the kernel's choice when undefined. */
  readonly localAddress?: string;
}

/** TCP as the daemons use it. Errors are the system's own, with `code` such as ECONNREFUSED or EADDRINUSE. */
export interface TcpTransport {
  /** Rejects when the connection fails or the signal aborts. */
  connect(options: TcpConnectOptions, signal?: AbortSignal): Promise<TcpConnection>;
  /** Port 0 takes any free port. Rejects when the address cannot be bound. */
  listen(endpoint: TcpEndpoint, accept: (connection: TcpConnection) => void): Promise<TcpListener>;
}

/** TCP of the kernel, in the network namespace of this process. Nagle's algorithm is off: messages are small and waited for. */
export const systemTcp: TcpTransport = {
  connect({ address, port, localAddress }, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(abortError());
      const socket = createConnection({ host: address, port, ...(localAddress ? { localAddress } : {}), noDelay: true });
      const settle = (): void => {
        signal?.removeEventListener('abort', abort);
        socket.removeListener('error', fail);
      };
      const fail = (error: Error): void => {
        settle();
        reject(error);
      };
      const abort = (): void => void socket.destroy(abortError());
      signal?.addEventListener('abort', abort, { once: true });
      socket.once('error', fail);
      socket.once('connect', () => {
        settle();
        resolve(wrap(socket));
      });
    });
  },
  listen({ address, port }, accept) {
    return new Promise((resolve, reject) => {
      const server = createServer({ noDelay: true, pauseOnConnect: true }, (socket) => accept(wrap(socket)));
      server.once('error', reject);
      server.listen({ host: address, port, ipv6Only: isIPv6(address) }, () => {
        server.removeListener('error', reject);
        // A failing accept (out of file descriptors) must not end the process; the next connection tries again.
        server.on('error', () => undefined);
        const bound = server.address();
        resolve({
          address: { address, port: typeof bound === 'object' && bound ? bound.port : port },
          // Not waiting for server.close's callback: that comes only when the last accepted connection has ended.
          close: async () => void server.close(),
        });
      });
    });
  },
};

const abortError = (): Error => Object.assign(new Error('the connection attempt was given up'), { name: 'AbortError', code: 'ABORT_ERR' });

function wrap(socket: Socket): TcpConnection {
  let failure: Error | undefined;
  let gone = false;
  let handlers: TcpHandlers | undefined;
  socket.on('error', (error) => {
    failure = error;
  });
  socket.on('close', () => {
    gone = true;
    handlers?.closed(failure);
  });
  return {
    local: { address: plain(socket.localAddress), port: socket.localPort ?? 0 },
    remote: { address: plain(socket.remoteAddress), port: socket.remotePort ?? 0 },
    attach(given) {
      handlers = given;
      socket.on('data', (bytes: Buffer) => given.data(bytes));
      socket.on('drain', () => given.drained?.());
      if (gone) queueMicrotask(() => given.closed(failure));
      else socket.resume();
    },
    write: (bytes) => socket.writable && socket.write(bytes),
    end: () => void socket.end(),
    destroy: () => void socket.destroy(),
  };
}

/** An IPv4 peer on a dual-stack socket shows as ::ffff:a.b.c.d; a link-local one carries its zone. */
const plain = (address: string | undefined): string => (address ?? '').replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
