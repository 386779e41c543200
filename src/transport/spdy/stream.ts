import { Duplex } from 'node:stream';
import type { Headers } from './headers.ts';

/** What a stream asks of its connection. */
export interface StreamPort {
  /** Sends a piece; calls back when more may come. */
  send(data: Buffer, done: () => void): void;
  /** Half-closes. */
  finish(): void;
  reset(): void;
  /** The reader has taken so many more bytes. */
  consumed(bytes: number): void;
}

/** How much of a stream waits for its reader before it is asked for again; the connection waits at a bound of its own. */
const highWaterMark = 64 * 1024;

/**
 * One stream of a SPDY connection. Half-close is kept apart: `end()` sends FIN, the peer's FIN ends the readable side. `destroy()` sends RST_STREAM
 * unless both sides had ended. What was written before `end()` is sent before it.
 */
export class SpdyStream extends Duplex {
  readonly id: number;
  readonly headers: Headers;
  readonly #port: StreamPort;
  #peerEnded = false;
  #finished = false;
  /** Bytes received that no reader is known to have taken. */
  #unread = 0;

  constructor(id: number, headers: Headers, port: StreamPort) {
    super({ allowHalfOpen: true, highWaterMark, emitClose: true });
    this.id = id;
    this.headers = headers;
    this.#port = port;
    // A reset is an answer, not a fault of ours: whoever cares listens.
    this.on('error', () => undefined);
  }

  /** The peer has sent data, and `fin` with its last. */
  receive(data: Buffer, fin: boolean): void {
    if (this.#peerEnded || this.destroyed) return;
    if (data.length > 0) {
      this.#unread += data.length;
      this.push(data);
      this.#account();
    }
    if (fin) {
      this.#peerEnded = true;
      this.push(null);
    }
  }

  /** The peer has reset the stream, or the connection is gone. What has come before is still to be read. */
  abort(error?: Error): void {
    if (this.#finished && this.#peerEnded) return;
    this.#finished = true;
    if (this.#peerEnded || this.readableLength === 0) {
      // Of a side that has ended in order, the reader is not robbed.
      if (this.#peerEnded && !this.readableEnded) return;
      this.#peerEnded = true;
      this.destroy(error);
      return;
    }
    this.#peerEnded = true;
    this.push(null);
    this.once('end', () => this.destroy(error));
  }

  /** Whatever way a reader takes bytes, they come through here, or were taken while they were pushed. */
  // biome-ignore lint/suspicious/noExplicitAny: as Node's own type has it
  override read(size?: number): any {
    const chunk: unknown = super.read(size);
    this.#account();
    return chunk;
  }

  override _read(): void {
    // Bytes come as the connection reads them.
  }

  #account(): void {
    const bytes = this.#unread - this.readableLength;
    if (bytes <= 0) return;
    this.#unread = this.readableLength;
    this.#port.consumed(bytes);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#port.send(chunk, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#finished = true;
    this.#port.finish();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#peerEnded || !this.#finished) this.#port.reset();
    this.#peerEnded = true;
    done(error);
  }
}
