import type { ServerResponse } from 'node:http';
import type { Writable } from 'node:stream';
import { contentOf } from './http-chunk.ts';

/** A watcher may be this far behind (bytes waiting for it) before it is dropped. */
const maxBehind = 8 * 1024 * 1024;
/** Small lines go out together, up to about this many bytes. */
const writeSize = 64 * 1024;

/**
 * Writes the lines of one watch at the pace of its reader. The first ones are taken from `initial` only as fast as they are read; those pushed
 * meanwhile wait. A reader that falls too far behind is cut off, so that it costs neither memory nor anybody else's time.
 *
 * Lines come framed as HTTP chunks (see http-chunk.ts) and go to the socket as they are: framing a line anew for each of its watchers would cost as
 * much again as encrypting and sending it.
 */
export class EventStream {
  readonly #response: ServerResponse;
  readonly #out: Writable;
  /** Whether lines may go out with their frames on. */
  readonly #framed: boolean;
  readonly #initial: Iterator<Buffer>;
  readonly #onClose: () => void;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #initialDone = false;
  #ending = false;
  #closed = false;
  #scheduled = false;
  #blocked = false;

  /** The head of `response` has been written. `onClose` is called once, whoever ends the stream. */
  constructor(response: ServerResponse, initial: Iterable<Buffer>, onClose: () => void) {
    this.#response = response;
    // Without a socket the response still waits for the one before it on its connection; without chunked encoding the client speaks HTTP/1.0.
    this.#framed = response.chunkedEncoding && response.socket !== null;
    this.#out = this.#framed ? response.socket! : response;
    this.#initial = initial[Symbol.iterator]();
    this.#onClose = onClose;
    response.on('close', () => this.#close());
    response.on('error', () => this.#close());
    this.#out.on('drain', this.#onDrain);
    this.#schedule();
  }

  push(chunk: Buffer): void {
    if (this.#closed || this.#ending) return;
    this.#queue.push(chunk);
    this.#queuedBytes += chunk.length;
    if (this.#queuedBytes > maxBehind) {
      // An ERROR event would not reach a reader that does not read.
      this.#response.destroy();
      this.#close();
      return;
    }
    this.#schedule();
  }

  /** Ends the stream after what has been pushed. */
  end(): void {
    this.#ending = true;
    this.#schedule();
  }

  readonly #onDrain = (): void => {
    this.#blocked = false;
    this.#write();
  };

  /** Lines of one turn go out together. */
  #schedule(): void {
    if (this.#scheduled || this.#blocked || this.#closed) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#write();
    });
  }

  #write(): void {
    if (this.#closed || this.#blocked) return;
    while (!this.#blocked && !this.#initialDone) this.#send(this.#takeInitial());
    if (!this.#blocked && this.#queue.length > 0) {
      const chunks = this.#queue;
      this.#queue = [];
      this.#queuedBytes = 0;
      this.#send(chunks);
    }
    if (this.#ending && this.#initialDone && this.#queue.length === 0) {
      this.#close();
      this.#response.end();
    }
  }

  #takeInitial(): Buffer[] {
    const chunks: Buffer[] = [];
    for (let bytes = 0; bytes < writeSize; ) {
      const { value, done } = this.#initial.next();
      if (done) {
        this.#initialDone = true;
        break;
      }
      chunks.push(value);
      bytes += value.length;
    }
    return chunks;
  }

  #send(chunks: readonly Buffer[]): void {
    if (chunks.length === 0) return;
    const wire = this.#framed ? chunks : chunks.map(contentOf);
    this.#blocked = !this.#out.write(wire.length === 1 ? wire[0]! : Buffer.concat(wire));
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue = [];
    // The socket may serve other requests after this one.
    this.#out.off('drain', this.#onDrain);
    this.#onClose();
  }
}
