import { execa } from 'execa';
import { CommandError, type CommandFailure, type CommandResult } from './command-error.ts';
import { type Listener, type StandbyCommand, startListening, startStandby } from './waiting-commands.ts';

export { CommandError, type CommandFailure, type CommandResult };

export interface CommandOptions {
  /** Written to standard input. */
  readonly input?: string;
  /** Milliseconds; the command is ended after it. Default 30 s. */
  readonly timeout?: number;
  /** Exit codes besides 0 that are an answer rather than a failure. */
  readonly acceptExitCodes?: readonly number[];
  readonly env?: Readonly<Record<string, string>>;
}

/** The one way to start a program that ends by itself. Arguments are an array: there is no shell. */
export interface CommandRunner {
  /** @throws CommandError on a spawn failure, a timeout, or an exit code not accepted. */
  run(command: string, args: readonly string[], options?: CommandOptions): Promise<CommandResult>;
  /** Starts a program that does nothing before it has read its input, so that its start costs nothing once the input is there. */
  readonly standby?: (command: string, args: readonly string[]) => StandbyCommand;
  /** Starts a program that runs until it is ended, and hands on what it says. */
  readonly listen?: (command: string, args: readonly string[], listener: Listener) => { end(): void };
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
  standby: startStandby,
  listen: startListening,
};

function failureOf(result: { timedOut: boolean; code?: string | undefined; stderr: string }): CommandFailure {
  if (result.timedOut) return 'timeout';
  if (result.code === 'ENOENT') return 'not-installed';
  if (result.code === 'EACCES' || /operation not permitted|permission denied/i.test(result.stderr)) return 'not-permitted';
  return 'failed';
}

/** A runner whose commands run inside a network namespace given by path (nsenter keeps the mount namespace). */
export const inNetworkNamespace = (runner: CommandRunner, path: string): CommandRunner => {
  const { standby, listen } = runner;
  const entering = (command: string, args: readonly string[]): string[] => [`--net=${path}`, '--', command, ...args];
  return {
    run: (command, args, options) => runner.run('nsenter', entering(command, args), options),
    ...(standby && { standby: (command, args) => standby('nsenter', entering(command, args)) }),
    ...(listen && { listen: (command, args, listener) => listen('nsenter', entering(command, args), listener) }),
  };
};
