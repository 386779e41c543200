import { closeSync, openSync, readSync, rmSync, statSync } from 'node:fs';
import { isRunning, killProcessGroup, signalProcess } from '../../kernel/processes.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { ContainerRecord } from '../container-record.ts';
import type { ContainerRun } from '../machine/types.ts';
import { parseExitCode, parseStarted } from '../render/shim.ts';
import { type PodFiles, readIfThere, writeWhole, writtenAt } from './pod-files.ts';

/** kubelet's exit code for a container of whose end nothing is known, and for one that could not be started. */
const unknownExitCode = 137;
const startErrorExitCode = 128;

/**
 * What a record has become, by the marks that the shims have written and, with `deep`, by the processes that are there. The same record when
 * nothing has changed.
 */
export function observe(record: ContainerRecord, files: PodFiles, bootID: string, deep: boolean, now: number): ContainerRecord {
  const { run, container } = record;
  if (run.phase === 'exited') return record;
  const mark = (name: 'started' | 'exit' | 'listening' | 'problem'): string => files.mark(container, run.attempt, name);
  const sameBoot = record.bootID === bootID;
  const started = readIfThere(mark('started'));
  const process = record.process ?? (started === undefined ? undefined : parseStarted(started));
  const seen = process === record.process ? record : { ...record, process: process! };
  const code = parseExitCode(readIfThere(mark('exit')) ?? '');
  const startedAt = run.startedAt ?? writtenAt(mark('started'));
  const end = (exitCode: number, more: Partial<ContainerRun>): ContainerRecord => ({
    ...seen,
    run: { attempt: run.attempt, phase: 'exited', ...(startedAt === undefined ? {} : { startedAt }), exitCode, ...more },
  });
  if (code !== undefined) {
    const finishedAt = writtenAt(mark('exit')) ?? now;
    if (process) return end(code, { finishedAt });
    return end(startErrorExitCode, { finishedAt, reason: 'StartError', message: lastLine(mark('problem')) ?? `exit code ${code}` });
  }
  if (!sameBoot || (deep && !isAlive(seen))) {
    return end(unknownExitCode, {
      finishedAt: now,
      reason: 'ContainerStatusUnknown',
      message: 'The container could not be located when the pod runner looked for it',
    });
  }
  if (process && (!record.announces || writtenAt(mark('listening')) !== undefined)) {
    return run.phase === 'running' ? seen : { ...seen, run: { attempt: run.attempt, phase: 'running', startedAt: startedAt ?? now } };
  }
  return seen;
}

/** The container's process is there, or the shim, which may be about to write the exit code. */
export const isAlive = ({ process, shim }: ContainerRecord): boolean =>
  (process !== undefined && isRunning(process)) || (shim !== undefined && isRunning(shim));

export function saveRecord(files: PodFiles, record: ContainerRecord): void {
  writeWhole(files.record(record.container), `${JSON.stringify(record, undefined, 2)}\n`);
}

/** Removes the marks and pipes of a run that is over. */
export function removeMarks(files: PodFiles, container: string, attempt: number): void {
  for (const mark of ['started', 'exit', 'listening', 'problem'] as const) rmSync(files.mark(container, attempt, mark), { force: true });
  for (const end of ['out', 'err', 'in', 'keeper', 'tty']) rmSync(`${files.io(container, attempt)}.${end}`, { force: true });
}

/** SIGTERM to the container's first process now and SIGKILL after `grace` ms; returns what calls the SIGKILL off. */
export function stopProcess({ process, shim }: ContainerRecord, grace: number, clock: Clock): () => void {
  // The first process of a process namespace takes all others of it along when it is killed.
  const kill = (): void => void ((process && signalProcess(process, 'SIGKILL')) || (!process && shim && killProcessGroup(shim)));
  if (grace <= 0 || !process) {
    kill();
    return () => undefined;
  }
  signalProcess(process, 'SIGTERM');
  return clock.setTimer(grace, kill);
}

/** The last line of a file, out of its last 2,000 bytes. */
function lastLine(file: string): string | undefined {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size === 0) return undefined;
  const descriptor = openSync(file, 'r');
  try {
    const buffer = Buffer.alloc(Math.min(size, 2_000));
    readSync(descriptor, buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString('utf8').trim().split('\n').at(-1) || undefined;
  } finally {
    closeSync(descriptor);
  }
}
