import { splitLines } from '../../runtime/split-lines.ts';
import type { CommandResult, CommandRunner } from '../command-runner.ts';
import { type PipedParts, type PipedProcess, startPiped } from '../piped-process.ts';
import { keepRunning, marker } from './running-ip.ts';

/** What `ipBatchQuery` runs. */
const args = ['-json', '-details', '-force', '-batch', '-'] as const;

/** Bytes; the routes of a node may be many. */
const maxLine = 64 * 1024 * 1024;

/** A runner for batches of queries alone. */
export interface QueryChannel extends CommandRunner {
  /** Forgets the indexes of links that the running `ip` remembers. */
  restart(): void;
  close(): void;
}

/**
 * Runs batches of queries on one `ip -json -details -force -batch -` that stays, each query of which answers with one line; and whatever is wrong
 * with one of them, the whole batch once more with the runner of the parts: that answer counts.
 */
export function createQueryChannel(parts: PipedParts): QueryChannel {
  const running = keepRunning(() => startSession(parts));
  return {
    async run(command, given, options = {}) {
      const lines = (options.input ?? '').split('\n').filter((line) => line !== '');
      if (!running.closed && command === 'ip' && given.join(' ') === args.join(' ')) {
        const answer = await running
          .session()
          .then((session) => session.run(lines))
          .catch(() => undefined);
        if (answer) return answer;
        running.retire();
      }
      return parts.runner.run(command, given, options);
    },
    restart: running.retire,
    close: running.close,
  };
}

interface Session {
  /** Undefined when a line failed, or `ip` ended. */
  run(lines: readonly string[]): Promise<CommandResult | undefined>;
  finish(): void;
}

interface PendingQueries {
  readonly count: number;
  readonly answers: string[];
  /** The marker was reached. */
  marked: boolean;
  readonly resolve: (answer: CommandResult | undefined) => void;
}

async function startSession(parts: PipedParts): Promise<Session> {
  const ip: PipedProcess = await startPiped(['ip', ...args], parts);
  const pending: PendingQueries[] = [];
  let ended = false;
  const end = (): void => {
    ended = true;
    for (const batch of pending.splice(0)) batch.resolve(undefined);
    ip.stdin.end();
  };
  // Answers and errors come by two pipes, so either may be late.
  const settle = (): void => {
    const batch = pending[0];
    if (!batch?.marked || batch.answers.length < batch.count) return;
    pending.shift();
    batch.resolve({ stdout: `${batch.answers.join('\n')}\n`, stderr: '', exitCode: 0 });
    settle();
  };
  const follow = async (stream: AsyncIterable<Uint8Array>, take: (line: string) => void): Promise<void> => {
    for await (const line of splitLines(stream, maxLine)) take(line);
  };
  void follow(ip.stdout, (line) => {
    if (!line.startsWith('[')) return;
    pending.find(({ answers, count }) => answers.length < count)?.answers.push(line);
    settle();
  }).then(end, end);
  void follow(ip.stderr, (line) => {
    const batch = pending.find(({ marked }) => !marked);
    if (!line.includes(marker)) {
      // A line failed, and it is not known any more which answer belongs to which.
      if (!line.startsWith('Command failed')) end();
      return;
    }
    if (batch) batch.marked = true;
    settle();
  }).then(end, end);
  return {
    run: (lines) =>
      new Promise((resolve) => {
        if (ended || ip.stdin.destroyed) return resolve(undefined);
        pending.push({ count: lines.length, answers: [], marked: false, resolve });
        ip.stdin.write(`${[...lines, marker].join('\n')}\n`);
      }),
    finish: () => ip.stdin.end(),
  };
}
