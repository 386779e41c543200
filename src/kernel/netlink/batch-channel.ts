import { type PipedParts, type PipedProcess, startPiped } from '../piped-process.ts';
import { splitLines } from '../../runtime/split-lines.ts';
import { keepRunning, marker } from './running-ip.ts';

/** A line of a batch that failed: its place in the batch from 0, and what `ip` and the kernel said. */
export interface BatchLineFailure {
  readonly index: number;
  readonly detail: string;
}

/** `ip` itself ended: what was sent may have been done or not. */
class BatchChannelError extends Error {
  constructor(detail: string) {
    super(`the running ip ended: ${detail}`);
    this.name = 'BatchChannelError';
  }
}

/**
 * One `ip -force -batch -` that stays: an operation costs a tenth of a millisecond instead of the start of a process.
 *
 * iproute2 remembers the index of every link name that it has seen. Once a link was deleted and made anew under its name, operations on it fail
 * as if it were not there; `restart` forgets. (The kernel does not give an index twice, so they never reach another link.)
 */
export interface BatchChannel {
  /**
   * Does the lines in order, going on past failing ones. Several calls may be under way; they are done in the order of the calls.
   * @throws BatchChannelError when `ip` ends meanwhile, as it does at a malformed argument; the next call starts another.
   */
  run(lines: readonly string[]): Promise<readonly BatchLineFailure[]>;
  /** Lets the present `ip` finish what it was given; the next call starts another. */
  restart(): void;
  /** As restart, for good. */
  close(): void;
}

interface PendingBatch {
  /** Number of its first line and of the marker behind its last, counted from 1 since the start of the process. */
  readonly first: number;
  readonly marker: number;
  readonly failures: BatchLineFailure[];
  readonly resolve: (failures: readonly BatchLineFailure[]) => void;
  readonly reject: (error: BatchChannelError) => void;
}

/** Bytes; `ip` says less. */
const maxLine = 64 * 1024;

/** Starts `ip` with the first batch. In the network namespace of this process. */
export function createBatchChannel(parts: PipedParts): BatchChannel {
  const running = keepRunning((onEnd) => startSession(parts, onEnd));
  return {
    async run(lines) {
      if (running.closed) throw new BatchChannelError('the channel is closed');
      for (const line of lines)
        if (/[\n\r\\]/.test(line)) throw new RangeError(`an ip operation must be one plain line: ${JSON.stringify(line)}`);
      return (await running.session()).run(lines);
    },
    restart: running.retire,
    close: running.close,
  };
}

interface Session {
  run(lines: readonly string[]): Promise<readonly BatchLineFailure[]>;
  finish(): void;
}

async function startSession(parts: PipedParts, onEnd: () => void): Promise<Session> {
  const ip: PipedProcess = await startPiped(['ip', '-force', '-batch', '-'], parts);
  const pending: PendingBatch[] = [];
  let sent = 0;
  let ended: string | undefined;
  let said: string[] = [];
  ip.stdout.resume();
  const read = (text: string): void => {
    const failed = /^Command failed -:(\d+)/.exec(text);
    if (!failed) {
      said.push(text.trim());
      return;
    }
    const line = Number(failed[1]);
    const batch = pending[0];
    if (batch && line === batch.marker) {
      pending.shift();
      batch.resolve(batch.failures);
    } else batch?.failures.push({ index: line - batch.first, detail: said.join('; ') || 'failed' });
    said = [];
  };
  const end = (detail: string): void => {
    ended = detail;
    onEnd();
    for (const batch of pending.splice(0)) batch.reject(new BatchChannelError(detail));
  };
  void (async () => {
    for await (const line of splitLines(ip.stderr, maxLine)) read(line);
    end(said.join('; ') || `exit code ${await ip.exited}`);
  })().catch((error: unknown) => end(String(error)));
  return {
    run: (lines) =>
      new Promise((resolve, reject) => {
        if (ended !== undefined || ip.stdin.destroyed) return reject(new BatchChannelError(ended ?? 'it reads no more'));
        pending.push({ first: sent + 1, marker: sent + lines.length + 1, failures: [], resolve, reject });
        sent += lines.length + 1;
        ip.stdin.write(`${[...lines, marker].join('\n')}\n`);
      }),
    finish: () => ip.stdin.end(),
  };
}
