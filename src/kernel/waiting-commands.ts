import { type ChildProcess, spawn } from 'node:child_process';
import { splitLines } from '../runtime/split-lines.ts';
import { CommandError, type CommandFailure, type CommandResult } from './command-error.ts';

/** A program that was started ahead of time and waits for its input. */
export interface StandbyCommand {
  /** Gives it its whole input and waits for its end. Once only. @throws CommandError as the runner does */
  run(input: string, timeout: number): Promise<CommandResult>;
  /** Ends it without input. */
  dismiss(): void;
}

/** What a program that goes on running tells. */
export interface Listener {
  /** One line of its standard output. */
  line(text: string): void;
  /** It has ended; called once, also after `end`. */
  ended(): void;
}

/** Bytes of output kept. */
const maxOutput = 256 * 1024 * 1024;

/** Starts the program now. It must be one that does nothing before it has read its standard input. */
export function startStandby(command: string, args: readonly string[]): StandbyCommand {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const output = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  for (const stream of ['stdout', 'stderr'] as const) {
    let size = 0;
    child[stream].on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= maxOutput) output[stream].push(chunk);
    });
  }
  let failure: NodeJS.ErrnoException | undefined;
  child.on('error', (error) => (failure = error));
  // A program that ends without reading all of its input is judged by its exit code, not by the broken pipe.
  child.stdin.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => {
    child.once('close', resolve);
    child.once('error', () => resolve());
  });
  // It does not keep this process from ending.
  setReferences(child, 'unref');
  return {
    async run(input, timeout) {
      setReferences(child, 'ref');
      let timedOut = false;
      const timer = setTimeout(() => {
        timedOut = true;
        child.kill('SIGKILL');
      }, timeout);
      child.stdin.end(input);
      await closed;
      clearTimeout(timer);
      const [stdout, stderr] = [output.stdout, output.stderr].map((chunks) => Buffer.concat(chunks).toString('utf8')) as [string, string];
      if (child.exitCode === 0 && !failure) return { stdout, stderr, exitCode: 0 };
      const reason = timedOut ? 'timeout' : failureOf(failure, stderr);
      throw new CommandError(reason, [command, ...args], child.exitCode ?? undefined, stderr || (failure?.message ?? ''));
    },
    dismiss() {
      child.stdin.end();
    },
  };
}

function setReferences(child: ChildProcess, change: 'ref' | 'unref'): void {
  child[change]();
  for (const stream of [child.stdin, child.stdout, child.stderr])
    (stream as Partial<Record<typeof change, () => void>> | null)?.[change]?.();
}

function failureOf(error: NodeJS.ErrnoException | undefined, stderr: string): CommandFailure {
  if (error?.code === 'ENOENT') return 'not-installed';
  return error?.code === 'EACCES' || /operation not permitted|permission denied/i.test(stderr) ? 'not-permitted' : 'failed';
}

/**
 * A monitor notices the end of its reader only when it has something to say, so a shell that ends with its standard input ends it: also
 * after a kill -9 of this process. A fixed script; the program and its arguments are the shell's own arguments.
 */
const watched = '"$@" & read -r _; kill "$!" 2>/dev/null';

/** Bytes of one line. */
const maxLine = 1024 * 1024;

/** Starts a program that runs until it is told to end, and does not keep this process from ending. */
export function startListening(command: string, args: readonly string[], listener: Listener): { end(): void } {
  const child = spawn('sh', ['-c', watched, 'sh', command, ...args], { stdio: ['pipe', 'pipe', 'ignore'] });
  child.stdin.on('error', () => undefined);
  setReferences(child, 'unref');
  const failed = new Promise<void>((resolve) => child.once('error', () => resolve()));
  const read = async (): Promise<void> => {
    for await (const line of splitLines(child.stdout, maxLine)) listener.line(line);
  };
  void Promise.race([read().catch(() => undefined), failed]).finally(() => {
    child.stdin.end();
    listener.ended();
  });
  return { end: () => void child.stdin.end() };
}
