import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import type { CommandRunner } from '../../kernel/command-runner.ts';
import { identify, isRunning, type ProcessIdentity } from '../../kernel/processes.ts';
import type { Clock } from '../../runtime/clock.ts';
import { splitLines } from '../../runtime/split-lines.ts';
import { declined, parseServiceRequest, type ServiceRequest } from '../service.ts';

/**
 * As many requests can be under way; launcher.sh has the same number. One more finds no slot and does its request by itself. Twice as many as come at
 * once on a node that starts or drains: a slot is free again only when an agent that is busy comes to it.
 */
export const slotCount = 512;

/** Bytes: the longest configuration and its environment. */
const maxRequestBytes = 2 * 1024 * 1024;

/** Milliseconds between two looks for launchers that were killed. */
const sweepInterval = 2_000;

/** A launcher that has taken a slot writes its request at once. */
const claimLifetime = 10_000;

/**
 * How launchers reach the agent, by pipes with names, which a shell can open. In FOLDER:
 *
 *     requests          a pipe: `R SLOT` announces a request, `D SLOT PID` tells that the launcher needs the slot no more
 *     slots/N           a pipe: the reply to the request of slot N
 *     slots/N.pod       a pipe from the launcher of slot N to the `ip` that it has started in the pod's namespace
 *     slots/N.request   the request; made exclusively by a launcher, and so the claim on slot N
 *     slots/N.withdrawn see request-watch.ts
 *
 * The agent holds the pipes of requests and replies open for both sides, so that nobody ever waits to open one, and a launcher sees the end of
 * its pipe the moment the agent is killed. A launcher that is killed leaves its claim; the sweep finds out.
 */
export interface RequestSlots {
  /** No request after this one is answered. */
  close(): void;
}

export interface SlotParts {
  readonly runner: CommandRunner;
  readonly clock: Clock;
}

/**
 * @param answer text of the reply; never rejects. Once `isWithdrawn` says so the launcher does the request by itself, and nothing more must be done
 * for it here.
 */
export async function openRequestSlots(
  folder: string,
  { runner, clock }: SlotParts,
  answer: (request: ServiceRequest, isWithdrawn: () => boolean) => Promise<string>,
): Promise<RequestSlots> {
  const slotsFolder = join(folder, 'slots');
  mkdirSync(slotsFolder, { recursive: true, mode: 0o700 });
  const pipes = Array.from({ length: slotCount }, (_, slot) => join(slotsFolder, `${slot}`));
  const makePipes = (paths: readonly string[]): Promise<unknown> => runner.run('mkfifo', ['-m', '600', ...paths]);
  await makePipes([join(folder, 'requests'), join(folder, 'watch'), ...pipes, ...pipes.map((path) => `${path}.pod`)]);
  const { O_RDWR, O_NONBLOCK } = constants;
  const replies = pipes.map((path) => openSync(path, O_RDWR | O_NONBLOCK));
  const requests = new Socket({ fd: openSync(join(folder, 'requests'), O_RDWR | O_NONBLOCK), readable: true, writable: false });
  requests.on('error', () => undefined);
  interface Busy {
    readonly launcher: ProcessIdentity;
    /** Nothing is done for it any more: its reply is written, or it was withdrawn. */
    ended: boolean;
    /** The launcher needs the slot no more. */
    left: boolean;
  }
  const busy = new Map<number, Busy>();
  let closed = false;

  const fileOf = (slot: number, kind: 'request' | 'withdrawn' | 'pod'): string => join(slotsFolder, `${slot}.${kind}`);
  /** One that was answered, and whose answer was read. */
  const free = (slot: number): void => {
    busy.delete(slot);
    removeFile(fileOf(slot, 'request'));
  };

  const cleaning = new Set<number>();
  /** One that may have been answered by two, whose answer may not have been read, and whose launcher's `ip` may still read from its pipe. */
  async function clean(slot: number): Promise<void> {
    if (cleaning.has(slot)) return;
    cleaning.add(slot);
    busy.delete(slot);
    removeFile(fileOf(slot, 'pod'));
    await makePipes([fileOf(slot, 'pod')]).catch(() => undefined);
    cleaning.delete(slot);
    if (closed) return;
    drain(replies[slot]!);
    removeFile(fileOf(slot, 'withdrawn'));
    free(slot);
  }

  const reply = (slot: number, text: string): void => {
    if (closed) return;
    try {
      writeSync(replies[slot]!, text);
    } catch {
      // EAGAIN: nobody has read what was written before, many times.
    }
  };

  async function serve(slot: number): Promise<void> {
    if (busy.has(slot)) return;
    const request = readRequest(fileOf(slot, 'request'));
    // Its claim is found abandoned once the launcher is gone.
    if (!request) return reply(slot, declined);
    // The identity is unknown when it was killed already: it is done all the same, as by a plugin that is killed a moment later.
    const launcher = identify(request.launcher) ?? { pid: request.launcher, startTime: -1 };
    const isWithdrawn = (): boolean => existsSync(fileOf(slot, 'withdrawn'));
    const entry: Busy = { launcher, ended: isWithdrawn(), left: false };
    busy.set(slot, entry);
    if (entry.ended) return;
    const text = await answer(request, isWithdrawn);
    // The watch has given an answer.
    if (!isWithdrawn()) reply(slot, text);
    entry.ended = true;
    if (entry.left) leave(slot, launcher.pid);
  }

  function leave(slot: number, pid: number): void {
    const entry = busy.get(slot);
    if (entry?.launcher.pid !== pid) return;
    entry.left = true;
    // Not while anything is done for it: the reply would be the next one's.
    if (!entry.ended) return;
    if (existsSync(fileOf(slot, 'withdrawn'))) void clean(slot);
    else free(slot);
  }

  void (async () => {
    for await (const line of splitLines(requests, 1_024)) {
      const [kind, slotText, pid] = line.split(' ');
      const slot = Number(slotText);
      if (!Number.isInteger(slot) || slot < 0 || slot >= slotCount) continue;
      if (kind === 'R') void serve(slot);
      else if (kind === 'D') leave(slot, Number(pid));
    }
  })().catch(() => undefined);

  const sweep = (): void => {
    for (const [slot, { launcher, ended }] of busy) if (ended && !isRunning(launcher)) void clean(slot);
    for (const name of namesIn(slotsFolder)) {
      const slot = Number(/^(\d+)\.request$/.exec(name)?.[1] ?? -1);
      if (slot >= 0 && slot < slotCount && !busy.has(slot) && isAbandoned(fileOf(slot, 'request'), clock)) void clean(slot);
    }
    cancel = clock.setTimer(sweepInterval, sweep);
  };
  let cancel = clock.setTimer(sweepInterval, sweep);

  return {
    close() {
      closed = true;
      cancel();
      requests.destroy();
      for (const fd of replies) closeSync(fd);
    },
  };
}

function readRequest(path: string): ServiceRequest | undefined {
  try {
    return statSync(path).size > maxRequestBytes ? undefined : parseServiceRequest(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Claimed some time ago by a launcher that is gone, and never announced. */
function isAbandoned(path: string, clock: Clock): boolean {
  const made = statSync(path, { throwIfNoEntry: false });
  if (!made || clock.now() - made.mtimeMs < claimLifetime) return false;
  const launcher = /^\d+/.exec(firstBytes(path))?.[0];
  return launcher === undefined || identify(Number(launcher)) === undefined;
}

/** Empty for what cannot be read: a folder, say. */
function firstBytes(path: string): string {
  try {
    return statSync(path).isFile() ? readFileSync(path, 'latin1').slice(0, 100) : '';
  } catch {
    return '';
  }
}

/** None when somebody has removed the folder: then there are no requests either. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** rmSync takes five times as long, and this is done for every request. */
function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    // Not a file: nobody's request.
    rmSync(path, { recursive: true, force: true });
  }
}

function drain(fd: number): void {
  const buffer = Buffer.allocUnsafe(64 * 1024);
  try {
    while (readSync(fd, buffer) > 0);
  } catch {
    // EAGAIN: it is empty.
  }
}
