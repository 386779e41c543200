import type { OnReadOpts } from 'node:net';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';

/** How a client reaches a server: HTTPS on a loopback port, as the owner of a client certificate. */
export interface Endpoint {
  readonly port: number;
  /** PEM, each. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface Answer {
  readonly status: number;
  readonly bytes: number;
  /** Time from the request's last byte sent to the answer's last byte read (ms). */
  readonly milliseconds: number;
  /** The body, when it was asked for. */
  readonly body: string;
}

const crlf = Buffer.from('\r\n');
const endOfHead = Buffer.from('\r\n\r\n');
/**
 * Where all connections read into, one after the other; what outlives its read is copied. Buffers and streams of each connection would cost a fifth of
 * the time that an event takes to reach a hundred watchers, and be measured as the server's.
 */
const landing = Buffer.allocUnsafe(64 * 1024);

/**
 * One kept HTTP/1.1 connection with one request at a time. It knows only as much of HTTP as Kubernetes API servers answer with (RFC 9112
 * sections 6 and 7.1): that makes it several times cheaper than the servers it measures.
 */
export class Connection {
  readonly #socket: TLSSocket;
  #receive: (data: Buffer) => void = (data) => this.#read(data);
  #pending: { start: number; keep: boolean; done: (answer: Answer) => void; fail: (error: Error) => void } | undefined;
  #rest: Buffer = Buffer.alloc(0);
  #status = 0;
  /** Bytes of body still to come; -1 while the head is awaited, -2 while a chunk's size is. */
  #left = -1;
  #chunked = false;
  #bytes = 0;
  #body: Buffer[] = [];

  private constructor({ port, ca, cert, key }: Endpoint, opened: (error?: Error) => void) {
    const onread: OnReadOpts = {
      buffer: landing,
      callback: (bytes, buffer) => {
        this.#receive((buffer as Buffer).subarray(0, bytes));
        return true;
      },
    };
    const options: ConnectionOptions & { onread: OnReadOpts } = { host: '127.0.0.1', port, ca, cert, key, servername: 'localhost', onread };
    const socket = connect(options, () => opened());
    socket.setNoDelay(true);
    socket.on('error', (error) => {
      opened(error);
      this.#fail(error);
    });
    socket.on('close', () => this.#fail(new Error('the server closed the connection')));
    this.#socket = socket;
  }

  static open(endpoint: Endpoint): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const connection: Connection = new Connection(endpoint, (error) => (error ? reject(error) : resolve(connection)));
    });
  }

  /** Sends a request made by {@link encodeRequest}. `keep` keeps the body. @throws Error when the connection breaks. */
  send(request: string, keep = false): Promise<Answer> {
    return new Promise((done, fail) => {
      this.#bytes = 0;
      this.#body = [];
      this.#left = -1;
      this.#pending = { start: performance.now(), keep, done, fail };
      this.#socket.write(request);
    });
  }

  /** Sends a watch; every line of its answer goes to `line`, which gets no more than the line itself. */
  watch(request: string, line: (text: string) => void): Promise<void> {
    let text = '';
    return new Promise((started) => {
      this.#receive = (data) => {
        text += data.toString('latin1');
        started();
        for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n')) {
          if (text.startsWith('{')) line(text.slice(0, at));
          text = text.slice(at + 1);
        }
      };
      this.#socket.write(request);
    });
  }

  /** Stops reading, as a client that hangs does. */
  pause(): void {
    this.#socket.pause();
  }

  close(): void {
    this.#socket.destroy();
  }

  #fail(error: Error): void {
    this.#pending?.fail(error);
    this.#pending = undefined;
  }

  #read(data: Buffer): void {
    let rest: Buffer = this.#rest.length === 0 ? data : Buffer.concat([this.#rest, data]);
    while (rest.length > 0 && this.#pending) {
      const used = this.#left === -1 ? this.#head(rest) : this.#left === -2 ? this.#chunk(rest) : this.#take(rest);
      if (used === 0) break;
      rest = rest.subarray(used);
    }
    this.#rest = Buffer.from(rest);
  }

  #head(data: Buffer): number {
    const end = data.indexOf(endOfHead);
    if (end < 0) return 0;
    const head = data.toString('latin1', 0, end).toLowerCase();
    this.#status = Number(head.slice(9, 12));
    this.#chunked = head.includes('transfer-encoding: chunked');
    this.#left = this.#chunked ? -2 : Number(/content-length: (\d+)/.exec(head)?.[1] ?? 0);
    if (this.#left === 0) this.#finish();
    return end + 4;
  }

  #chunk(data: Buffer): number {
    const end = data.indexOf(crlf);
    if (end < 0) return 0;
    const size = Number.parseInt(data.toString('latin1', 0, end), 16);
    // The last chunk is followed by an empty line.
    if (size === 0) {
      if (data.length < end + 4) return 0;
      this.#finish();
      return end + 4;
    }
    // The line end after the chunk counts as part of it.
    this.#left = size + 2;
    this.#bytes -= 2;
    return end + 2;
  }

  #take(data: Buffer): number {
    const used = Math.min(this.#left, data.length);
    this.#left -= used;
    this.#bytes += used;
    if (this.#pending!.keep) this.#body.push(Buffer.from(data.subarray(0, used)));
    if (this.#left === 0) {
      if (this.#chunked) this.#left = -2;
      else this.#finish();
    }
    return used;
  }

  #finish(): void {
    const { start, done } = this.#pending!;
    this.#pending = undefined;
    const body = this.#body.length > 0 ? Buffer.concat(this.#body).toString() : '';
    done({ status: this.#status, bytes: this.#bytes, milliseconds: performance.now() - start, body });
  }
}

/** A request as it goes over the wire. */
export function encodeRequest(method: string, path: string, body = '', more: Readonly<Record<string, string>> = {}): string {
  const headers = {
    host: 'localhost',
    accept: 'application/json',
    ...(body ? { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) } : {}),
    ...more,
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`;
}
