import { parseLogLine } from './cri-log.ts';
import type { LogOptions } from './log-options.ts';

export interface LogFilter {
  /** The limit of bytes is reached. */
  readonly full: boolean;
  /** What is to be sent for more bytes of the log. What is left of a line waits for the rest of it. */
  take(bytes: Buffer): Buffer;
}

const newline = 0x0a;
/** A line is at most 16 KiB and its head; what goes on beyond this is no log of ours and is dropped. */
const longestWait = 64 * 1024;

/** Turns a log as it is stored into what a client gets: since when, with times or without, and how much. */
export function createLogFilter({ since, timestamps, limitBytes = Number.POSITIVE_INFINITY }: LogOptions): LogFilter {
  let left = limitBytes;
  let rest: Buffer = Buffer.alloc(0);
  /** The next text begins a line, and not the next part of one. */
  let begins = true;
  return {
    get full() {
      return left <= 0;
    },
    take(more) {
      const bytes = rest.length > 0 ? Buffer.concat([rest, more]) : more;
      const out: Buffer[] = [];
      const put = (piece: Buffer): void => {
        const cut = piece.length > left ? piece.subarray(0, left) : piece;
        left -= cut.length;
        out.push(cut);
      };
      let at = 0;
      for (let end = bytes.indexOf(newline, at); end !== -1 && left > 0; end = bytes.indexOf(newline, at)) {
        const start = at;
        const line = parseLogLine(bytes, start, end + 1);
        at = end + 1;
        if (!line || (since !== '' && bytes.toString('latin1', start, line.timeEnd) < since)) continue;
        if (timestamps && begins) put(Buffer.from(`${bytes.toString('latin1', start, line.timeEnd).replace(/\.?0+Z$/, 'Z')} `));
        begins = bytes[line.textEnd - 1] === newline && line.textEnd > line.textStart;
        put(bytes.subarray(line.textStart, line.textEnd));
      }
      rest = bytes.length - at > longestWait ? Buffer.alloc(0) : Buffer.from(bytes.subarray(at));
      return Buffer.concat(out);
    },
  };
}
