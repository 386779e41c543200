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
 * @throws IpBatchError for the first failing line when not forced; CommandError when `ip` gave up on the whole batch.
 */
export async function ipBatch(
  runner: CommandRunner,
  operations: readonly string[],
  { force = false }: IpBatchOptions = {},
): Promise<readonly IpBatchError[]> {
  if (operations.length === 0) return [];
  const { failures } = await runBatch(runner, [...(force ? ['-force'] : []), '-batch', '-'], operations);
  if (!force && failures[0]) throw failures[0];
  return failures;
}

/**
 * As a forced {@link ipBatch}, followed by `queries` (such as `addr show dev eth0`) whose answers are returned in their order;
 * a query that failed (no such device) has no answer and is no failure.
 */
export async function ipBatchQuery<T>(
  runner: CommandRunner,
  operations: readonly string[],
  queries: readonly string[],
): Promise<{ failures: readonly IpBatchError[]; answers: readonly (readonly T[] | undefined)[] }> {
  if (operations.length + queries.length === 0) return { failures: [], answers: [] };
  const { failures, stdout } = await runBatch(runner, ['-json', '-details', '-force', '-batch', '-'], [...operations, ...queries]);
  // One JSON document a line, none for a line that failed.
  const documents = stdout.split('\n').filter((line) => line.startsWith('['));
  const failed = new Set(failures.map((failure) => failure.line));
  const answers = queries.map((_, index) => {
    if (failed.has(operations.length + index + 1)) return undefined;
    const document = documents.shift();
    return document === undefined
      ? undefined
      : (JSON.parse(document) as T[]).filter((entry) => entry !== null && Object.keys(entry as object).length > 0);
  });
  return { failures: failures.filter((failure) => failure.line <= operations.length), answers };
}

async function runBatch(runner: CommandRunner, args: readonly string[], operations: readonly string[]) {
  for (const operation of operations)
    if (/[\n\r\\]/.test(operation)) throw new RangeError(`an ip operation must be one plain line: ${JSON.stringify(operation)}`);
  const { stdout, stderr, exitCode } = await runner.run('ip', args, { input: `${operations.join('\n')}\n`, acceptExitCodes: [1, 2, 255] });
  const { failures, rest } = parseBatchErrors(stderr, operations);
  // A malformed argument (255) or a failed `neigh` (2) makes iproute2 exit at once, even with -force, without naming the line.
  if (exitCode !== 0 && (failures.length === 0 || (exitCode !== 1 && rest !== '')))
    throw new CommandError('failed', ['ip', ...args], exitCode, rest || stderr);
  return { stdout, failures };
}

/** iproute2 prints the reason on lines of its own, then `Command failed -:LINE`. */
function parseBatchErrors(stderr: string, operations: readonly string[]): { failures: IpBatchError[]; rest: string } {
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
  return { failures, rest: detail.join('; ') };
}

/** Runs `ip -json ARGS` and parses its answer. An empty answer is an empty list. */
export async function ipJson<T>(runner: CommandRunner, args: readonly string[]): Promise<T[]> {
  const { stdout } = await runner.run('ip', ['-json', '-details', ...args]);
  return stdout.trim() === ''
    ? []
    : (JSON.parse(stdout) as T[]).filter((entry) => entry !== null && Object.keys(entry as object).length > 0);
}
