import type { TcpConnection, TcpEndpoint, TcpListener, TcpTransport } from './tcp.ts';

// Messages with a length of two bytes before each, as DNS over TCP has them (RFC 1035 section 4.2.2, RFC 7766).

/** As much of a clock as the timeouts need (milliseconds). */
interface Timers {
  setTimer(delay: number, callback: () => void): () => void;
}

export interface MessageListenerOptions {
  /** A connection that completes no message for so long, with no answer pending, is closed (ms). */
  readonly idleTimeout: number;
  /** One more connection is closed at once. */
  readonly maxConnections: number;
  /** A request longer than this ends its connection (bytes). */
  readonly maxRequest: number;
  /** A client that has so many requests unanswered, or answers unread, is cut off. */
  readonly maxPending: number;
  readonly timers: Timers;
}

export interface MessageListener {
  readonly address: TcpEndpoint;
  /** Open connections now. */
  readonly connections: number;
  /** Stops listening and closes all connections. */
  close(): Promise<void>;
}

/** Called with each request; `reply` takes the answer, or undefined for none. Answers may come in any order (RFC 7766 section 7). */
export type MessageHandler = (request: Uint8Array, remote: TcpEndpoint, reply: (answer: Uint8Array | undefined) => void) => void;

/** Serves length-prefixed messages. Rejects with the system's error when the address cannot be bound. */
export async function listenForMessages(
  tcp: TcpTransport,
  endpoint: TcpEndpoint,
  options: MessageListenerOptions,
  handle: MessageHandler,
): Promise<MessageListener> {
  const open = new Set<TcpConnection>();
  const listener: TcpListener = await tcp.listen(endpoint, (connection) => {
    if (open.size >= options.maxConnections) return connection.destroy();
    open.add(connection);
    serve(connection, options, handle, () => open.delete(connection));
  });
  return {
    address: listener.address,
    get connections() {
      return open.size;
    },
    async close() {
      const closed = listener.close();
      for (const connection of open) connection.destroy();
      await closed;
    },
  };
}

function serve(connection: TcpConnection, options: MessageListenerOptions, handle: MessageHandler, onClosed: () => void): void {
  let closed = false;
  let pending = 0;
  let unread = 0;
  let stopTimer = (): void => undefined;
  const cutOff = (): void => {
    closed = true;
    connection.destroy();
  };
  const waitForMessage = (): void => {
    stopTimer();
    if (!closed) stopTimer = options.timers.setTimer(options.idleTimeout, () => (pending > 0 ? waitForMessage() : cutOff()));
  };
  const split = splitMessages(options.maxRequest, (request) => {
    if (closed) return;
    if (++pending + unread > options.maxPending) return cutOff();
    waitForMessage();
    handle(request, connection.remote, (answer) => {
      pending--;
      if (closed || !answer) return;
      if (connection.write(frame(answer))) unread = 0;
      else unread++;
    });
  });
  waitForMessage();
  connection.attach({
    data: (bytes) => {
      if (!closed && !split(bytes)) cutOff();
    },
    drained: () => {
      unread = 0;
    },
    closed: () => {
      closed = true;
      stopTimer();
      onClosed();
    },
  });
}

/** Puts chunks together and calls back with each whole message. The returned function gives false for a message over the maximum. */
export function splitMessages(maximum: number, receive: (message: Uint8Array) => void): (chunk: Uint8Array) => boolean {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
    while (rest.length >= 2) {
      const length = rest.readUInt16BE(0);
      if (length > maximum) return false;
      if (rest.length < 2 + length) break;
      receive(rest.subarray(2, 2 + length));
      rest = rest.subarray(2 + length);
    }
    return true;
  };
}

/** The message with its length before it. @throws RangeError over 65535 bytes. */
export function frame(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(2 + message.length);
  framed.writeUInt16BE(message.length, 0);
  framed.set(message, 2);
  return framed;
}

/** Sends one message over a connection of its own and resolves with the first answer. Rejects when the connection fails or the signal aborts. */
export async function exchangeMessage(tcp: TcpTransport, to: TcpEndpoint, message: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
  const connection = await tcp.connect(to, signal);
  try {
    return await new Promise<Uint8Array>((resolve, reject) => {
      const abort = (): void => reject(new Error('no answer in time'));
      if (signal.aborted) abort();
      signal.addEventListener('abort', abort, { once: true });
      const split = splitMessages(65_535, resolve);
      connection.attach({ data: (bytes) => void split(bytes), closed: (error) => reject(error ?? new Error('closed without an answer')) });
      connection.write(frame(message));
    });
  } finally {
    connection.destroy();
  }
}
