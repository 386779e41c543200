import { headerLength } from './constants.ts';
import { readHeader } from './message.ts';

/** Cuts a stream of bytes into messages. Holds at most one message that is not yet whole. */
export interface Framer {
  /** The messages that are whole now, each with its header. @throws BgpMessageError at a header that breaks the protocol. */
  push(chunk: Uint8Array): Generator<Uint8Array, void, undefined>;
}

export function createFramer(): Framer {
  let held: Uint8Array = new Uint8Array();
  return {
    *push(chunk) {
      let bytes = chunk;
      if (held.length > 0) {
        bytes = new Uint8Array(held.length + chunk.length);
        bytes.set(held);
        bytes.set(chunk, held.length);
      }
      let offset = 0;
      while (bytes.length - offset >= headerLength) {
        const { length } = readHeader(bytes.subarray(offset, offset + headerLength));
        if (bytes.length - offset < length) break;
        const message = bytes.subarray(offset, offset + length);
        offset += length;
        held = new Uint8Array();
        yield message;
      }
      held = bytes.slice(offset);
    },
  };
}
