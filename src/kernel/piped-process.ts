import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, constants, openSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { constants as osConstants } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import type { CommandRunner } from './command-runner.ts';
import type { Clock } from '../runtime/clock.ts';
import { type ProcessEntry, processTable } from './process-table.ts';
import { signalProcess } from './processes.ts';

/** A process whose standard streams are ours, in a session of its own. */
export interface PipedProcess {
  readonly pid: number;
  readonly stdin: Writable;
  readonly stdout: Socket;
  readonly stderr: Socket;
  /** The exit code, 128 + signal number after a signal, once it has ended; its streams may have more to read. */
  readonly exited: Promise<number>;
  /**
   * Ends it with all that it has started and that still can be told to be of it: its descendants, and every process of their sessions. Hangs
   * up first and kills what is left after `patience` ms.
   */
  end(patience: number): void;
}

export interface PipedParts {
  readonly runner: CommandRunner;
  readonly clock: Clock;
  /** A folder of the caller's own, in which the pipes have their names for a moment. */
  readonly folder: string;
}

/**
 * Starts a program with pipes for standard streams. Node's own are sockets, and `echo >/dev/stderr` cannot open a socket: these are real ones,
 * made by name. The arguments are an array: there is no shell. Rejects when it cannot be started.
 */
export async function startPiped(
  [command, ...args]: readonly [string, ...string[]],
  { runner, clock, folder }: PipedParts,
): Promise<PipedProcess> {
  const base = join(folder, randomUUID());
  const names = ['in', 'out', 'err'].map((name) => `${base}.${name}`) as [string, string, string];
  let opened: ReturnType<typeof openPipes>;
  try {
    await runner.run('mkfifo', ['-m', '600', ...names]);
    opened = openPipes(names);
  } finally {
    for (const name of names) rmSync(name, { force: true });
  }
  const { theirs, stdin, stdout, stderr } = opened;
  // Not the command runner: that one waits for the end and keeps the output.
  const child = spawn(command, args, { detached: true, stdio: [...theirs], cwd: '/' });
  for (const descriptor of theirs) closeSync(descriptor);
  const exited = new Promise<number>((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? 128 + signalNumber(signal)));
  });
  await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject)).catch((error: unknown) => {
    for (const stream of [stdin, stdout, stderr]) stream.destroy();
    throw error;
  });
  // Streams that are closed by the other side are no fault; whoever reads or writes sees the end.
  for (const stream of [stdin, stdout, stderr]) stream.on('error', () => undefined);
  return {
    pid: child.pid!,
    stdin,
    stdout,
    stderr,
    exited,
    end: (patience) => endFamily(child, patience, clock),
  };
}

/** Both ends of three named pipes. Opening one for one side alone would wait for the other, so the order matters (fifo(7)). */
function openPipes([input, output, errors]: readonly [string, string, string]) {
  const { O_RDONLY, O_WRONLY, O_NONBLOCK } = constants;
  const first = openSync(input, O_RDONLY | O_NONBLOCK);
  const write = openSync(input, O_WRONLY | O_NONBLOCK);
  // Ours do not block; theirs must: programs do not expect it of their standard streams.
  const theirInput = openSync(input, O_RDONLY);
  closeSync(first);
  const readers = [output, errors].map((name) => openSync(name, O_RDONLY | O_NONBLOCK));
  const writers = [output, errors].map((name) => openSync(name, O_WRONLY));
  const [stdout, stderr] = readers.map((fd) => new Socket({ fd, readable: true, writable: false })) as [Socket, Socket];
  return {
    theirs: [theirInput, writers[0]!, writers[1]!] as const,
    stdin: new Socket({ fd: write, readable: false, writable: true }),
    stdout,
    stderr,
  };
}

function endFamily(child: ChildProcess, patience: number, clock: Clock): void {
  if (child.exitCode !== null || child.signalCode !== null) return;
  // Told apart now: once the first has ended, its children are somebody else's.
  const family = familyOf(child.pid!);
  for (const member of family) signalProcess(member, 'SIGHUP');
  clock.setTimer(patience, () => {
    for (const member of [...family, ...familyOf(child.pid!)]) signalProcess(member, 'SIGKILL');
  });
}

/** A process, its descendants, and all processes of their sessions. Empty when it is gone. */
function familyOf(root: number): readonly ProcessEntry[] {
  const all = processTable();
  const members = new Set(all.filter(({ pid }) => pid === root));
  for (let before = -1; before !== members.size; ) {
    before = members.size;
    const pids = new Set([...members].map(({ pid }) => pid));
    const sessions = new Set([...members].map(({ session }) => session));
    for (const entry of all) if (pids.has(entry.parent) || sessions.has(entry.session)) members.add(entry);
  }
  return [...members];
}

const signalNumber = (signal: NodeJS.Signals | null): number => (signal === null ? 0 : osConstants.signals[signal]);
