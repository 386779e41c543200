import type { ServerResponse } from 'node:http';

/** A watcher may be this far behind (bytes waiting for it) before it is dropped. */
const maxBehind = 8 * 1024 * 1024;

/**
 * Writes the lines of one watch at the pace of its reader. The first lines are taken from `initial` only as fast as they are read; lines pushed
 * meanwhile wait. A reader that falls too far behind is cut off, so that it costs neither memory nor anybody else's time.
 */
export class EventStream {
  readonly #response: ServerResponse;
  readonly #initial: Iterator<Buffer>;
  readonly #onClose: () => void;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #initialDone = false;
  #ending = false;
  #closed = false;
  #scheduled = false;
  #blocked = false;

  /** `onClose` is called once, whoever ends the stream. */
  constructor(response: ServerResponse, initial: Iterable<Buffer>, onClose: () => void) {
    this.#response = response;
    this.#initial = initial[Symbol.iterator]();
    this.#onClose = onClose;
    response.on('close', () => this.#close());
    response.on('error', () => this.#close());
    response.on('drain', () => {
      this.#blocked = false;
      this.#write();
    });
    this.#schedule();
  }

  push(line: Buffer): void {
    if (this.#closed || this.#ending) return;
    this.#queue.push(line);
    this.#queuedBytes += line.length;
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
    this.#response.cork();
    while (!this.#blocked && !this.#initialDone) {
      const { value, done } = this.#initial.next();
      if (done) this.#initialDone = true;
      else this.#blocked = !this.#response.write(value);
    }
    if (!this.#blocked && this.#queue.length > 0) {
      const lines = this.#queue;
      this.#queue = [];
      this.#queuedBytes = 0;
      this.#blocked = !this.#response.write(lines.length === 1 ? lines[0]! : Buffer.concat(lines));
    }
    this.#response.uncork();
    if (this.#ending && this.#initialDone && this.#queue.length === 0) {
      this.#response.end();
      this.#close();
    }
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue = [];
    this.#onClose();
  }
}
