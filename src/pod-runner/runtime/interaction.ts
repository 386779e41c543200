import { randomUUID } from 'node:crypto';
import { closeSync, constants, mkdirSync, openSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { PassThrough, type Readable, type Writable } from 'node:stream';
import type { CommandRunner } from '../../kernel/command-runner.ts';
import { startPiped } from '../../kernel/piped-process.ts';
import { type Clock, sleep } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/log.ts';
import type { ContainerRecord } from '../container-record.ts';
import { podExecCommand } from '../exec-command.ts';
import { resizeCommand, sessionCommand, terminalCommand, type TerminalSize } from '../render/terminal.ts';
import { programProblem } from './find-program.ts';
import type { OutputPump } from './output-pump.ts';
import { type PodFiles, readIfThere } from './pod-files.ts';
import { endInput } from './pumps.ts';

/** Somebody's hold on a process in a container: its streams, as far as they were asked for. */
export interface Interaction {
  /** Undefined when the process takes no input. */
  readonly stdin: Writable | undefined;
  readonly stdout: Readable;
  /** Empty on a terminal, where all is one. */
  readonly stderr: Readable;
  /** The exit code, or undefined for a container whose end is told elsewhere, once all output has been given. Rejects for what could not begin. */
  readonly ended: Promise<number | undefined>;
  resize(size: TerminalSize): void;
  /** Lets go; a command that was run ends. */
  leave(): void;
}

export interface ExecRequest {
  readonly command: readonly string[];
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly size: TerminalSize | undefined;
}

export interface InteractionParts {
  readonly runner: CommandRunner;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What is left in a pipe that a process has left to its children is read for as long as it comes without such a pause (ms). */
const drainPause = 100;
/** Between the hang-up and the kill of a command whose client has gone (ms). */
const hangUpGrace = 500;
/** Exit codes of a shell for a program that cannot be run, and for one that is not there. */
const cannotRun = 126;
const notFound = 127;

/** Runs a command in a container. One that cannot be started ends with 126 or 127 and tells why on standard error, as container runtimes do. */
export async function execIn(
  record: ContainerRecord,
  files: PodFiles,
  request: ExecRequest,
  parts: InteractionParts,
): Promise<Interaction> {
  const { command, tty, size } = request;
  const environment: Record<string, string> = { ...(tty ? { TERM: 'xterm' } : {}), ...record.environment };
  const look = (root: string): string | undefined =>
    programProblem(command[0] ?? '', environment['PATH'] ?? '', record.workingDir ?? '/', root);
  // In the container's own file system, where its volumes are; links from there to absolute paths lead back to the host's, which is the same.
  const problem = look('') && look(`/proc/${record.process?.pid}/root`);
  if (problem !== undefined) return failedInteraction(problem);
  const inside = podExecCommand({ ...record, environment }, command, tty ? sessionCommand : (argv) => argv);
  mkdirSync(files.ioDir, { recursive: true, mode: 0o700 });
  const terminalFile = join(files.ioDir, `exec-${randomUUID()}.tty`);
  const child = await startPiped(tty ? terminalCommand(inside, terminalFile, size) : inside, { ...parts, folder: files.ioDir });
  // On a terminal, the end of input would be typed as Ctrl-D.
  if (!request.stdin && !tty) child.stdin.end();
  const resize = terminalResizer(() => readIfThere(terminalFile)?.trim(), parts);
  return {
    stdin: request.stdin ? child.stdin : undefined,
    stdout: child.stdout,
    stderr: child.stderr,
    ended: child.exited
      .then(async (code) => {
        await Promise.all([child.stdout, child.stderr].map((stream) => drained(stream, parts.clock)));
        for (const stream of [child.stdout, child.stderr]) if (!stream.readableEnded) stream.destroy();
        return code;
      })
      .finally(() => rmSync(terminalFile, { force: true })),
    resize,
    leave: () => child.end(hangUpGrace),
  };
}

/** Joins in on a container's own process. Output is what comes from now on. */
export function attachTo(record: ContainerRecord, files: PodFiles, pump: OutputPump | undefined, parts: InteractionParts): Interaction {
  const io = files.io(record.container, record.run.attempt);
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const stdin = record.stdin === 'open' || record.stdin === 'once' ? openInput(`${io}.in`) : undefined;
  if (record.stdin === 'once')
    stdin?.once('close', () => {
      try {
        endInput(files, record);
      } catch (error) {
        parts.log.warn({ err: error, container: record.container }, 'the standard input of a container could not be ended');
      }
    });
  const detach = pump?.attach({ stdout, stderr });
  let finish = (): void => undefined;
  const ended = new Promise<undefined>((resolve) => {
    finish = () => {
      forget?.();
      detach?.();
      stdout.end();
      stderr.end();
      resolve(undefined);
    };
  });
  const forget = pump?.subscribe(() => {
    if (pump.ended) finish();
  });
  if (!pump || pump.ended) finish();
  return {
    stdin,
    stdout,
    stderr,
    ended,
    resize: record.tty ? terminalResizer(() => readIfThere(`${io}.tty`)?.trim(), parts) : () => undefined,
    leave() {
      finish();
      stdin?.destroy();
    },
  };
}

/** The writing end of a container's input; somebody else keeps it open besides. */
function openInput(file: string): Writable {
  const descriptor = openSync(file, constants.O_WRONLY | constants.O_NONBLOCK);
  try {
    const pipe = new Socket({ fd: descriptor, readable: false, writable: true });
    pipe.on('error', () => undefined);
    return pipe;
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/** Resolves when a stream has ended, or when nothing comes any more although somebody takes it. */
async function drained(stream: Socket, clock: Clock): Promise<void> {
  const over = new AbortController();
  const onEnd = (): void => over.abort();
  stream.once('end', onEnd).once('close', onEnd);
  if (stream.readableEnded || stream.destroyed) onEnd();
  for (let before = -1; !over.signal.aborted && before !== stream.bytesRead; ) {
    // A reader that is slow has not seen all of it yet: nothing comes because nothing is taken.
    before = stream.isPaused() || stream.readableLength > 0 ? -1 : stream.bytesRead;
    await sleep(clock, drainPause, over.signal);
  }
  stream.off('end', onEnd).off('close', onEnd);
}

/** Sets sizes one after the other; of several that wait, the last. The terminal may not be there yet. */
function terminalResizer(terminal: () => string | undefined, { runner, clock, log }: InteractionParts): (size: TerminalSize) => void {
  let wanted: TerminalSize | undefined;
  let busy = false;
  async function work(): Promise<void> {
    for (let tries = 0; wanted && tries < 100; tries++) {
      const path = terminal();
      if (!path?.startsWith('/dev/')) {
        await sleep(clock, 10);
        continue;
      }
      const size = wanted;
      wanted = undefined;
      const [program, ...args] = resizeCommand(path, size);
      await runner.run(program, args);
    }
  }
  return (size) => {
    wanted = size;
    if (busy) return;
    busy = true;
    work()
      .catch((error: unknown) => log.debug({ err: error }, 'a terminal could not be resized'))
      .finally(() => void (busy = false));
  };
}

function failedInteraction(problem: string): Interaction {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  stdout.end();
  stderr.end(`OCI runtime exec failed: exec failed: unable to start container process: ${problem}: unknown\n`);
  return {
    stdin: undefined,
    stdout,
    stderr,
    ended: Promise.resolve(/not found|no such file/.test(problem) ? notFound : cannotRun),
    resize: () => undefined,
    leave: () => undefined,
  };
}
