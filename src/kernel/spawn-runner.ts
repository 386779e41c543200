import { spawnSync } from 'node:child_process';
import { CommandError, type CommandFailure, type CommandRunner } from './command-runner.ts';

/**
 * Runs commands one at a time, blocking this process meanwhile. For short-lived executables only: it starts a program in half the time
 * that the general runner takes and needs nothing to be loaded for it.
 */
export const spawnRunner: CommandRunner = {
  run(command, args, options = {}) {
    const { error, status, signal, stdout, stderr } = spawnSync(command, args, {
      ...(options.input === undefined ? { stdio: ['ignore', 'pipe', 'pipe'] } : { input: options.input }),
      timeout: options.timeout ?? 30_000,
      killSignal: 'SIGKILL',
      maxBuffer: 64 * 1024 * 1024,
      encoding: 'utf8',
      env: { ...process.env, ...options.env },
    });
    // A program that ends without reading all of its input is judged by its exit code, not by the broken pipe.
    const broken = error !== undefined && (error as NodeJS.ErrnoException).code !== 'EPIPE';
    if (!broken && status !== null && (status === 0 || options.acceptExitCodes?.includes(status)))
      return Promise.resolve({ stdout, stderr, exitCode: status });
    const detail = stderr || (broken ? error.message : signal ? `ended by ${signal}` : '');
    return Promise.reject(
      new CommandError(failureOf(error as NodeJS.ErrnoException | undefined, detail), [command, ...args], status ?? undefined, detail),
    );
  },
};

function failureOf(error: NodeJS.ErrnoException | undefined, detail: string): CommandFailure {
  if (error?.code === 'ETIMEDOUT') return 'timeout';
  if (error?.code === 'ENOENT') return 'not-installed';
  if (error?.code === 'EACCES' || error?.code === 'EPERM' || /operation not permitted|permission denied/i.test(detail))
    return 'not-permitted';
  return 'failed';
}
