import { closeSync, constants, mkdirSync, openSync, readdirSync, readFileSync, readSync, statSync, unlinkSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import type { CommandRunner } from '../../kernel/command-runner.ts';
import { identify, isRunning, type ProcessIdentity } from '../../kernel/processes.ts';
import type { Clock } from '../../runtime/clock.ts';
import { splitLines } from '../../runtime/split-lines.ts';
import { declined, parseServiceRequest, type ServiceRequest } from '../service.ts';

/** As many requests can be under way; launcher.sh has the same number. One more finds no slot and does its request by itself. */
export const slotCount = 256;

/** Bytes: the longest configuration and its environment. */
const maxRequestBytes = 2 * 1024 * 1024;

/** Milliseconds between two looks for launchers that were killed. */
const sweepInterval = 2_000;

/** A launcher that has taken a slot writes its request at once. */
const claimLifetime = 10_000;

/**
 * How launchers reach the agent, by pipes with names, which a shell can open. In FOLDER:
 *
 *     requests         a pipe: `R SLOT` announces a request, `D SLOT PID` tells that the reply was read
 *     slots/N          a pipe: the reply to the request of slot N
 *     slots/N.request  the request; made exclusively by a launcher, and so the claim on slot N
 *
 * The agent holds every pipe open for both sides, so that nobody ever waits to open one, and a launcher sees the end of its pipe the moment
 * the agent is killed. A launcher that is killed leaves its claim; the sweep finds out.
 */
export interface RequestSlots {
  /** No request after this one is answered. */
  close(): void;
}

export interface SlotParts {
  readonly runner: CommandRunner;
  readonly clock: Clock;
}

/** @param answer text of the reply; never rejects */
export async function openRequestSlots(
  folder: string,
  { runner, clock }: SlotParts,
  answer: (request: ServiceRequest) => Promise<string>,
): Promise<RequestSlots> {
  const slotsFolder = join(folder, 'slots');
  mkdirSync(slotsFolder, { recursive: true, mode: 0o700 });
  const pipes = Array.from({ length: slotCount }, (_, slot) => join(slotsFolder, `${slot}`));
  await runner.run('mkfifo', ['-m', '600', join(folder, 'requests'), ...pipes]);
  const { O_RDWR, O_NONBLOCK } = constants;
  const replies = pipes.map((path) => openSync(path, O_RDWR | O_NONBLOCK));
  const requests = new Socket({ fd: openSync(join(folder, 'requests'), O_RDWR | O_NONBLOCK), readable: true, writable: false });
  requests.on('error', () => undefined);
  const busy = new Map<number, { readonly launcher: ProcessIdentity; answered: boolean }>();
  let closed = false;

  const claimOf = (slot: number): string => join(slotsFolder, `${slot}.request`);
  const free = (slot: number): void => {
    busy.delete(slot);
    // What a killed launcher has not read would be read by the next.
    drain(replies[slot]!);
    removeFile(claimOf(slot));
  };

  const reply = (slot: number, text: string): void => {
    if (!closed) writeSync(replies[slot]!, text);
  };

  async function serve(slot: number): Promise<void> {
    if (busy.has(slot)) return;
    const request = readRequest(claimOf(slot));
    // Its claim is found abandoned once the launcher is gone.
    if (!request) return reply(slot, declined);
    // The identity is unknown when it was killed already: it is done all the same, as by a plugin that is killed a moment later.
    const entry = { launcher: identify(request.launcher) ?? { pid: request.launcher, startTime: -1 }, answered: false };
    busy.set(slot, entry);
    reply(slot, await answer(request));
    entry.answered = true;
  }

  void (async () => {
    for await (const line of splitLines(requests, 1_024)) {
      const [kind, slotText, pid] = line.split(' ');
      const slot = Number(slotText);
      if (!Number.isInteger(slot) || slot < 0 || slot >= slotCount) continue;
      if (kind === 'R') void serve(slot);
      else if (kind === 'D' && busy.get(slot)?.launcher.pid === Number(pid)) free(slot);
    }
  })().catch(() => undefined);

  const sweep = (): void => {
    // Not before the answer is written: it would be the next one's.
    for (const [slot, { launcher, answered }] of busy) if (answered && !isRunning(launcher)) free(slot);
    for (const name of readdirSync(slotsFolder)) {
      const slot = /^(\d+)\.request$/.exec(name)?.[1];
      if (slot !== undefined && !busy.has(Number(slot)) && isAbandoned(claimOf(Number(slot)), clock)) free(Number(slot));
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
  const launcher = /^\d+/.exec(readFileSync(path, 'utf8'))?.[0];
  return launcher === undefined || identify(Number(launcher)) === undefined;
}

/** rmSync takes five times as long, and this is done for every request. */
function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
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
