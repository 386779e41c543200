import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { type Clock, sleep } from '../runtime/clock.ts';

/** One process, told apart from a later one with the same id by its start time (clock ticks since boot). */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: number;
}

/** The identity of a process that runs now; undefined when there is none, or only a zombie. */
export function identify(pid: number): ProcessIdentity | undefined {
  try {
    // proc(5): the second field is the command in parentheses and may hold anything; count the others from behind it.
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : { pid, startTime: Number(fields[19]) };
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

export const isRunning = ({ pid, startTime }: ProcessIdentity): boolean => identify(pid)?.startTime === startTime;

/** Sends a signal to exactly this process. False when it is gone. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isRunning(identity)) return false;
  try {
    return process.kill(identity.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** SIGTERM, then SIGKILL after `patience` milliseconds (at once for 0); resolves when it is gone. False when it was gone already. */
export async function endProcess(identity: ProcessIdentity, clock: Clock, patience: number): Promise<boolean> {
  if (!signalProcess(identity, patience > 0 ? 'SIGTERM' : 'SIGKILL')) return false;
  const deadline = clock.monotonic() + patience;
  for (let killed = patience <= 0; isRunning(identity); await sleep(clock, 5)) {
    if (killed || clock.monotonic() < deadline) continue;
    killed = true;
    signalProcess(identity, 'SIGKILL');
  }
  return true;
}

/**
 * Starts a program that outlives this process: in a session of its own, without standard input, its output appended to a file. Standard
 * error and output share the file. Rejects when it cannot be started. Nothing is kept of it; {@link identify} and `isRunning` tell of it.
 */
export async function startDetached(command: string, args: readonly string[], logFile: string): Promise<ProcessIdentity> {
  const log = openSync(logFile, 'a', 0o600);
  try {
    // Not the command runner: that one waits for the end and holds pipes that would break with this process.
    const child = spawn(command, args, { detached: true, stdio: ['ignore', log, log], cwd: '/' });
    const identity = child.pid === undefined ? undefined : identify(child.pid);
    await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject));
    child.unref();
    return identity ?? { pid: child.pid!, startTime: 0 };
  } finally {
    closeSync(log);
  }
}

/** SIGKILL to the whole process group that a detached process leads. False when the leader is gone. */
export function killProcessGroup(leader: ProcessIdentity): boolean {
  if (!isRunning(leader)) return false;
  try {
    return process.kill(-leader.pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}
