import { TruncatedError } from './error.ts';

/** Reads big-endian fields from a bounded run of bytes. Every read past the end throws TruncatedError. */
export class Reader {
  readonly #bytes: Uint8Array;
  #offset = 0;
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }
  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }
  u8(): number {
    return this.bytes(1)[0]!;
  }
  u16(): number {
    const [a, b] = this.bytes(2);
    return (a! << 8) | b!;
  }
  u32(): number {
    const [a, b, c, d] = this.bytes(4);
    return ((a! << 24) | (b! << 16) | (c! << 8) | d!) >>> 0;
  }
  /** A view, not a copy. */
  bytes(length: number): Uint8Array {
    if (length > this.remaining) throw new TruncatedError();
    const start = this.#offset;
    this.#offset += length;
    return this.#bytes.subarray(start, this.#offset);
  }
  rest(): Uint8Array {
    return this.bytes(this.remaining);
  }
  /** A reader of the next `length` bytes. */
  sub(length: number): Reader {
    return new Reader(this.bytes(length));
  }
}
