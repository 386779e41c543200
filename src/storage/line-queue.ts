import { closeSync, constants, fstatSync, mkdirSync, openSync, readSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/**
 * A queue of lines in a file that any number of processes share without a lock, and a remark beside it:
 *
 *     head 0000000256 10.244.1.9 fd00::9                    the first line has always the same length and is overwritten in place
 *     10.244.1.4 fd00::4 2026-01-01T00:00:00.000Z           what was pushed, the oldest first
 *
 * `head` is where the oldest line begins that nobody has taken. Nothing here is exclusive: a line may be read twice, or be lost when a process is
 * killed or two meet, so what a line stands for must be claimed elsewhere. Every operation is a few system calls, however long the queue is.
 */
export interface LineQueue {
  /** The remark, and up to 4 KiB of lines, from the head or from an offset; undefined when there is no queue. */
  read(name: string, from?: number): QueuePage | undefined;
  /** Moves the head and overwrites the remark; makes the queue if need be. `id`: of the page that `head` is from; else nothing is done. */
  advance(name: string, id: number | undefined, head: number, remark: string): void;
  /** Appends lines. Nothing is done when there is no queue. */
  push(name: string, lines: readonly string[]): void;
}

export interface QueuePage {
  /** Changes when offsets do. */
  readonly id: number;
  readonly head: number;
  readonly remark: string;
  /** Whole lines. `next` is the offset of the line after it. */
  readonly lines: readonly { readonly text: string; readonly next: number }[];
}

/** Bytes of the first line, with its end. */
export const headerBytes = 256;

const pageBytes = 4_096;

/** When so much before the head is of no use any more, the rest moves to a new file. */
const compactAt = 64 * 1024;

/**
 * Queues as files. @param pathOf path of the queue with a name; its folder need not exist to read.
 * @throws the system's error from any of the functions
 */
export function openLineQueues(pathOf: (name: string) => string): LineQueue {
  return {
    read: (name, from) => withFile(pathOf(name), 'r', (fd) => readPage(fd, from)),
    advance(name, id, head, remark) {
      const path = pathOf(name);
      if (id === undefined) {
        // Whoever made it meanwhile has written a head and a remark that are as good.
        const make = (): true => (writeFileSync(path, headerOf(headerBytes, remark), { flag: 'wx', mode: 0o644 }), true);
        if (ifPossible(['EEXIST', 'ENOENT'], make) || !mkdirSync(dirname(path), { recursive: true, mode: 0o755 })) return;
        ifPossible(['EEXIST'], make);
        return;
      }
      withFile(path, 'r+', (fd) => {
        if (fstatSync(fd).ino !== id) return;
        if (head > compactAt) compact(fd, path, head, remark);
        else writeSync(fd, headerOf(head, remark), 0);
      });
    },
    push(name, lines) {
      const path = pathOf(name);
      // Not with O_CREAT: a queue without its first line would be none.
      withFile(path, constants.O_WRONLY | constants.O_APPEND, (fd) => writeSync(fd, lines.map((line) => `${line}\n`).join('')));
    },
  };
}

function readPage(fd: number, from: number | undefined): QueuePage {
  const { ino, size } = fstatSync(fd);
  const buffer = Buffer.allocUnsafe(pageBytes);
  const length = readSync(fd, buffer, 0, pageBytes, 0);
  const [, digits, remark = ''] = /^head (\d{10}) (.*)$/.exec(buffer.toString('latin1', 0, Math.min(length, headerBytes - 1))) ?? [];
  const stored = Number(digits ?? headerBytes);
  const head = stored >= headerBytes && stored <= size ? stored : headerBytes;
  const start = from ?? head;
  // Mostly the lines are in what was read already.
  const lines = size <= pageBytes ? buffer.subarray(Math.min(start, length), length) : readAt(fd, start);
  return { id: ino, head, remark: remark.trimEnd(), lines: splitPage(lines, start) };
}

function readAt(fd: number, start: number): Buffer {
  const buffer = Buffer.allocUnsafe(pageBytes);
  return buffer.subarray(0, readSync(fd, buffer, 0, pageBytes, start));
}

function splitPage(bytes: Buffer, start: number): QueuePage['lines'] {
  const lines: { text: string; next: number }[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(10, at);
    if (end < 0) break;
    lines.push({ text: bytes.toString('latin1', at, end), next: start + end + 1 });
    at = end + 1;
  }
  // A page without an end of a line is nothing that was pushed.
  return lines.length === 0 && bytes.length === pageBytes ? [{ text: '', next: start + pageBytes }] : lines;
}

function compact(fd: number, path: string, head: number, remark: string): void {
  const rest: Buffer[] = [];
  for (let at = head; ; ) {
    const chunk = readAt(fd, at);
    if (chunk.length === 0) break;
    rest.push(chunk);
    at += chunk.length;
  }
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}`);
  writeFileSync(temporary, Buffer.concat([Buffer.from(headerOf(headerBytes, remark)), ...rest]), { mode: 0o644 });
  renameSync(temporary, path);
}

/** What does not fit of the remark is left out, from its last blank on. */
function headerOf(head: number, remark: string): string {
  const room = headerBytes - 'head 0000000000 \n'.length;
  const fitting = remark.length <= room ? remark : remark.slice(0, Math.max(remark.lastIndexOf(' ', room), 0));
  return `head ${String(head).padStart(10, '0')} ${fitting.padEnd(room)}\n`;
}

function withFile<Result>(path: string, flags: string | number, work: (fd: number) => Result): Result | undefined {
  return ifPossible(['ENOENT'], () => {
    const fd = openSync(path, flags);
    try {
      return work(fd);
    } finally {
      closeSync(fd);
    }
  });
}

function ifPossible<Result>(ignored: readonly string[], work: () => Result): Result | undefined {
  try {
    return work();
  } catch (error) {
    if (!ignored.includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    return undefined;
  }
}
