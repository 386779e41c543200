/** Collects big-endian fields into bytes. */
export class Writer {
  #bytes = new Uint8Array(256);
  #length = 0;
  get length(): number {
    return this.#length;
  }
  u8(value: number): this {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
    return this;
  }
  u16(value: number): this {
    return this.u8(value >>> 8).u8(value);
  }
  u32(value: number): this {
    return this.u16(value >>> 16).u16(value & 0xffff);
  }
  bytes(value: Uint8Array): this {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
    return this;
  }
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }
  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}

export const u16Bytes = (value: number): Uint8Array => new Writer().u16(value).finish();
