import { CommandError, type CommandRunner } from './command-runner.ts';

/** A line of an `ip -batch` failed. `line` counts from 1; `operation` is its text. Lines before it have been done. */
export class IpBatchError extends Error {
  readonly line: number;
  readonly operation: string;
  readonly detail: string;
  constructor(line: number, operation: string, detail: string) {
    super(`ip ${operation}: ${detail}`);
    this.name = 'IpBatchError';
    this.line = line;
    this.operation = operation;
    this.detail = detail;
  }
}

export interface IpBatchOptions {
  /** Go on past a failing line; the failures are returned instead of thrown. */
  readonly force?: boolean;
}

/**
 * Runs many `ip` operations (each without the leading `ip`) in one process. Returns the failures, empty unless `force`.
 * @throws IpBatchError for the first failing line when not forced.
 */
export async function ipBatch(runner: CommandRunner, operations: readonly string[], { force = false }: IpBatchOptions = {}): Promise<readonly IpBatchError[]> {
  if (operations.length === 0) return [];
  for (const operation of operations) if (/[\n\r\\]/.test(operation)) throw new RangeError(`an ip operation must be one plain line: ${JSON.stringify(operation)}`);
  const result = await runner.run('ip', [...(force ? ['-force'] : []), '-batch', '-'], {
    input: `${operations.join('\n')}\n`,
    acceptExitCodes: [1, 2, 255],
  });
  const failures = parseBatchErrors(result.stderr, operations);
  if (result.exitCode !== 0 && failures.length === 0) throw new CommandError('failed', ['ip', '-batch', '-'], result.exitCode, result.stderr);
  if (!force && failures[0]) throw failures[0];
  return failures;
}

/** iproute2 prints the reason on lines of its own, then `Command failed -:LINE`. */
function parseBatchErrors(stderr: string, operations: readonly string[]): IpBatchError[] {
  const failures: IpBatchError[] = [];
  let detail: string[] = [];
  for (const text of stderr.split('\n')) {
    const match = /^Command failed -:(\d+)/.exec(text);
    if (!match) {
      if (text.trim()) detail.push(text.trim());
      continue;
    }
    const line = Number(match[1]);
    failures.push(new IpBatchError(line, operations[line - 1] ?? '?', detail.join('; ') || 'failed'));
    detail = [];
  }
  return failures;
}

/** Runs `ip -json ARGS` and parses its answer. An empty answer is an empty list. */
export async function ipJson<T>(runner: CommandRunner, args: readonly string[]): Promise<T[]> {
  const { stdout } = await runner.run('ip', ['-json', '-details', ...args]);
  return stdout.trim() === '' ? [] : (JSON.parse(stdout) as T[]).filter((entry) => entry !== null && Object.keys(entry as object).length > 0);
}
