import { readFileSync } from 'node:fs';
import { isRunning, signalProcess } from '../../kernel/processes.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/log.ts';
import type { ContainerRecord } from '../container-record.ts';
import { openOutputPump, type OutputPump } from './output-pump.ts';
import type { PodFiles } from './pod-files.ts';

/** The pumps of all containers' output, by the name of their pipes. */
export interface Pumps {
  /** Begins to take a run's output once its pipes are there; lets its shim go once it has ended. */
  follow(files: PodFiles, record: ContainerRecord): void;
  get(files: PodFiles, container: string, attempt: number): OutputPump | undefined;
  /** The pod's pumps are not needed any more. */
  forget(files: PodFiles): void;
  close(): void;
}

export function createPumps(clock: Clock, log: Logger): Pumps {
  const pumps = new Map<string, OutputPump>();

  function open(files: PodFiles, { container, run, pod }: ContainerRecord): OutputPump | undefined {
    const io = files.io(container, run.attempt);
    const known = pumps.get(io);
    if (known) return known;
    try {
      const onError = (error: Error): void => log.error({ err: error, pod, container }, 'the output of a container could not be kept');
      const pump = openOutputPump(io, files.log(container, run.attempt), clock, onError);
      pumps.set(io, pump);
      pump.subscribe(() => {
        if (pump.ended) pumps.delete(io);
      });
      return pump;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        log.error({ err: error, pod, container }, 'the output of a container cannot be read');
      return undefined;
    }
  }

  return {
    follow(files, record) {
      const { run, process, shim, tty } = record;
      // Before the first process is there, the shim may not hold the pipes yet.
      if (run.phase !== 'exited' && !process) return;
      if (run.phase === 'exited' && (!shim || !isRunning(shim))) return;
      // On a terminal, script(1) still takes the last words out of it, and ends by itself.
      if (open(files, record) && run.phase === 'exited' && shim && !tty) signalProcess(shim, 'SIGKILL');
    },
    get: (files, container, attempt) => pumps.get(files.io(container, attempt)),
    forget(files) {
      for (const [io, pump] of pumps) {
        if (!io.startsWith(`${files.ioDir}/`)) continue;
        pumps.delete(io);
        pump.close();
      }
    },
    close() {
      for (const pump of pumps.values()) pump.close();
      pumps.clear();
    },
  };
}

/** Ends a container's standard input, by ending what keeps it open. The id is the keeper's as long as the shim, its parent, has not ended. */
export function endInput(files: PodFiles, { container, run, shim }: ContainerRecord): void {
  if (!shim || !isRunning(shim)) return;
  const keeper = Number(readFileSync(`${files.io(container, run.attempt)}.keeper`, 'utf8'));
  try {
    if (keeper > 1) process.kill(keeper, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
