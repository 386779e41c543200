import { execa } from 'execa';

export interface CommandOptions {
  /** Written to standard input. */
  readonly input?: string;
  /** Milliseconds; the command is ended after it. Default 30 s. */
  readonly timeout?: number;
  /** Exit codes besides 0 that are an answer rather than a failure. */
  readonly acceptExitCodes?: readonly number[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** The one way to start a program that ends by itself. Arguments are an array: there is no shell. */
export interface CommandRunner {
  /** @throws CommandError on a spawn failure, a timeout, or an exit code not accepted. */
  run(command: string, args: readonly string[], options?: CommandOptions): Promise<CommandResult>;
}

export type CommandFailure = 'not-installed' | 'not-permitted' | 'timeout' | 'failed';

/** A command that could not be run or failed. `reason` is stable; the message names the command and quotes its error. */
export class CommandError extends Error {
  readonly reason: CommandFailure;
  readonly command: readonly string[];
  readonly exitCode: number | undefined;
  readonly stderr: string;
  constructor(reason: CommandFailure, command: readonly string[], exitCode: number | undefined, stderr: string) {
    super(`${command.join(' ').slice(0, 200)}: ${explain(reason, command[0]!, exitCode, stderr)}`);
    this.name = 'CommandError';
    this.reason = reason;
    this.command = command;
    this.exitCode = exitCode;
    this.stderr = stderr;
  }
}

function explain(reason: CommandFailure, program: string, exitCode: number | undefined, stderr: string): string {
  if (reason === 'not-installed')
    return `${program} is not installed; run scripts/setup.sh, or install the Debian package that provides it`;
  if (reason === 'timeout') return 'did not finish in time';
  return stderr.trim().slice(0, 2_000) || `exit code ${exitCode}`;
}

/** Runs commands on this machine with execa, in the network namespace of this process. */
export const systemRunner: CommandRunner = {
  async run(command, args, options = {}) {
    const result = await execa(command, args, {
      ...(options.input === undefined ? { stdin: 'ignore' as const } : { input: options.input }),
      timeout: options.timeout ?? 30_000,
      ...(options.env ? { env: options.env } : {}),
      reject: false,
      stripFinalNewline: false,
      maxBuffer: 256 * 1024 * 1024,
    });
    const { stdout, stderr, exitCode } = result;
    if (exitCode !== undefined && (exitCode === 0 || options.acceptExitCodes?.includes(exitCode))) return { stdout, stderr, exitCode };
    throw new CommandError(
      failureOf(result),
      [command, ...args],
      exitCode,
      stderr || (exitCode === undefined ? (result.message ?? '') : ''),
    );
  },
};

function failureOf(result: { timedOut: boolean; code?: string | undefined; stderr: string }): CommandFailure {
  if (result.timedOut) return 'timeout';
  if (result.code === 'ENOENT') return 'not-installed';
  if (result.code === 'EACCES' || /operation not permitted|permission denied/i.test(result.stderr)) return 'not-permitted';
  return 'failed';
}

/** A runner whose commands run inside a network namespace given by path (nsenter keeps the mount namespace). */
export const inNetworkNamespace = (runner: CommandRunner, path: string): CommandRunner => ({
  run: (command, args, options) => runner.run('nsenter', [`--net=${path}`, '--', command, ...args], options),
});
