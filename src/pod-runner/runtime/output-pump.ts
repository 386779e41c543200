import { closeSync, constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import type { Clock } from '../../runtime/clock.ts';
import { formatLog, formatLogRest, type LogStream, noRest } from '../logs/cri-log.ts';
import { openLogFile } from './log-file.ts';

/** Who is attached to a container: each stream it wants, and none it does not. */
export interface Audience {
  readonly stdout: Writable | undefined;
  readonly stderr: Writable | undefined;
}

/**
 * Takes what a container's processes write out of their pipes and into its log. The pipes have names and a holder of their own, so that they stand
 * while no runner is there; who writes more than fits into one meanwhile waits.
 */
export interface OutputPump {
  /** Counts the log's turns, for readers. */
  readonly turns: number;
  readonly ended: boolean;
  /** Called after more was written to the log, and once at the end. */
  subscribe(listener: () => void): () => void;
  /** Sends what comes from now on to somebody attached, too. A reader that is slow holds the container up, for a while. */
  attach(audience: Audience): () => void;
  /** Stops taking; what is in the pipes stays there. */
  close(): void;
}

/** A reader that takes nothing for so long (ms) is let go, so that a container is not held up for ever. */
const patience = 30_000;

/** Opens the pipes `IO.out` and `IO.err`. @throws when they are not there. */
export function openOutputPump(io: string, logFile: string, clock: Clock, onError: (error: Error) => void): OutputPump {
  const log = openLogFile(logFile);
  const listeners = new Set<() => void>();
  const audiences = new Set<Audience>();
  /** Readers that are behind. */
  const slow = new Map<Writable, () => void>();
  let open = 2;
  let closed = false;

  const tell = (): void => {
    for (const listener of [...listeners]) listener();
  };

  function append(lines: Buffer): void {
    try {
      if (lines.length > 0) log.append(lines);
    } catch (error) {
      // A full disk costs the log, not the container.
      onError(error as Error);
    }
  }

  function follow(stream: LogStream): Socket {
    const descriptor = openSync(`${io}.${stream === 'stdout' ? 'out' : 'err'}`, constants.O_RDONLY | constants.O_NONBLOCK);
    let pipe: Socket;
    try {
      pipe = new Socket({ fd: descriptor, readable: true, writable: false });
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
    let rest = noRest;
    pipe.on('data', (chunk: Buffer) => {
      let lines: Buffer;
      [lines, rest] = formatLog(rest, chunk, stream, clock.now());
      append(lines);
      for (const audience of audiences) pass(audience[stream], chunk);
      tell();
    });
    pipe.on('error', onError);
    pipe.once('close', () => {
      if (closed) return;
      append(formatLogRest(rest, stream, clock.now()));
      if (--open > 0) return;
      log.close();
      tell();
    });
    return pipe;
  }

  function pass(reader: Writable | undefined, chunk: Buffer): void {
    if (!reader || reader.destroyed || reader.writableEnded || reader.write(chunk) || slow.has(reader)) return;
    for (const pipe of pipes) pipe.pause();
    const giveUp = clock.setTimer(patience, () => reader.destroy(new Error('the reader takes nothing')));
    const goOn = (): void => {
      giveUp();
      reader.off('drain', goOn).off('close', goOn);
      slow.delete(reader);
      if (slow.size === 0) for (const pipe of pipes) pipe.resume();
    };
    slow.set(reader, goOn);
    reader.once('drain', goOn).once('close', goOn);
  }

  const pipes: Socket[] = [];
  try {
    pipes.push(follow('stdout'));
    pipes.push(follow('stderr'));
  } catch (error) {
    closed = true;
    for (const pipe of pipes) pipe.destroy();
    log.close();
    throw error;
  }

  return {
    get turns() {
      return log.turns;
    },
    get ended() {
      return open === 0;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    attach(audience) {
      audiences.add(audience);
      return () => {
        audiences.delete(audience);
        for (const reader of [audience.stdout, audience.stderr]) if (reader) slow.get(reader)?.();
      };
    },
    close() {
      if (open === 0 || closed) return;
      closed = true;
      for (const pipe of pipes) pipe.destroy();
      log.close();
      listeners.clear();
    },
  };
}
