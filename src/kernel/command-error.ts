export interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
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
