import { closeSync, existsSync, fstatSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';

/** kubelet's containerLogMaxSize and containerLogMaxFiles: when a log is set aside (bytes), and how many files there are, the current one included. */
export const largestLog = 10 * 1024 * 1024;
const mostFiles = 5;

const aside = (file: string, number: number): string => (number === 0 ? file : `${file}.${number}`);

/** A log that is set aside when it is large: `FILE` is the current one, `FILE.1` the one before it, and so on. */
export interface LogFile {
  append(lines: Buffer): void;
  /** How often a file was set aside since this process began. A reader that stays behind finds its next file by it. */
  readonly turns: number;
  close(): void;
}

export function openLogFile(file: string): LogFile {
  const open = (): number => openSync(file, 'a', 0o600);
  let descriptor = open();
  let size = fstatSync(descriptor).size;
  let turns = 0;

  function turn(): void {
    closeSync(descriptor);
    setLogAside(file);
    descriptor = open();
    size = 0;
    turns++;
  }

  return {
    get turns() {
      return turns;
    },
    append(lines) {
      for (let at = 0; at < lines.length; ) at += writeSync(descriptor, lines, at);
      size += lines.length;
      if (size > largestLog) turn();
    },
    close: () => closeSync(descriptor),
  };
}

/** Makes `FILE` `FILE.1`, and so on; the oldest is removed. */
export function setLogAside(file: string): void {
  rmSync(aside(file, mostFiles - 1), { force: true });
  for (let number = mostFiles - 2; number >= 0; number--)
    if (existsSync(aside(file, number))) renameSync(aside(file, number), aside(file, number + 1));
}

/** Removes a log with all that was set aside of it. */
export function removeLogFiles(file: string): void {
  for (let number = 0; number < mostFiles; number++) rmSync(aside(file, number), { force: true });
}

const pieceLength = 64 * 1024;
const newline = 0x0a;

/** Reads the files of one log one after the other, as one text. A file that is set aside while it is read is read to its end. */
export class LogReader {
  readonly #file: string;
  #descriptor: number | undefined;
  #offset = 0;
  /** Of which turn the open file is. */
  #turn = 0;

  constructor(file: string) {
    this.#file = file;
  }

  /** Goes to the first line there is, or so that the last `lines` lines follow. `turns` is that of the log's writer. */
  seek(lines: number | undefined, turns: number): void {
    let oldest = 0;
    while (oldest < mostFiles - 1 && existsSync(aside(this.#file, oldest + 1))) oldest++;
    if (lines === undefined) return this.#open(oldest, turns, 0);
    let left = lines;
    for (let number = 0; number <= oldest; number++) {
      this.#open(number, turns, 0);
      const found = this.#findTail(left);
      if (found.left === 0 || number === oldest) {
        this.#offset = found.offset;
        return;
      }
      left = found.left;
    }
  }

  /** The next piece; undefined at the end of what is written so far. */
  read(turns: number): Buffer | undefined {
    for (;;) {
      if (this.#descriptor === undefined) this.#open(0, turns, 0);
      if (this.#descriptor === undefined) return undefined;
      const piece = Buffer.allocUnsafe(pieceLength);
      const length = readSync(this.#descriptor, piece, 0, pieceLength, this.#offset);
      if (length > 0) {
        this.#offset += length;
        return piece.subarray(0, length);
      }
      if (this.#turn >= turns) return undefined;
      // What was set aside further than files are kept is lost to a reader this slow.
      this.#open(Math.min(turns - this.#turn - 1, mostFiles - 1), turns, 0);
    }
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #open(number: number, turns: number, offset: number): void {
    this.close();
    try {
      this.#descriptor = openSync(aside(this.#file, number), 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    this.#turn = turns - number;
    this.#offset = offset;
  }

  /** Where the last `lines` lines of the open file begin; `left` is how many lines it is short of. */
  #findTail(lines: number): { offset: number; left: number } {
    if (this.#descriptor === undefined) return { offset: 0, left: lines };
    const size = fstatSync(this.#descriptor).size;
    if (lines === 0) return { offset: size, left: 0 };
    let left = lines;
    const piece = Buffer.allocUnsafe(pieceLength);
    // The newline at the very end closes the last line and begins none.
    for (let end = Math.max(0, size - 1); end > 0; ) {
      const start = Math.max(0, end - pieceLength);
      const length = readSync(this.#descriptor, piece, 0, end - start, start);
      for (
        let at = piece.lastIndexOf(newline, length - 1);
        at !== -1 && length > 0;
        at = at === 0 ? -1 : piece.lastIndexOf(newline, at - 1)
      ) {
        if (--left === 0) return { offset: start + at + 1, left: 0 };
      }
      end = start;
    }
    return { offset: 0, left: size === 0 ? left : left - 1 };
  }
}
