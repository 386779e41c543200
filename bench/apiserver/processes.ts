import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** A server program under test. */
export interface Program {
  readonly pid: number;
  /** SIGTERM, and SIGKILL when it does not go in time. */
  stop(): Promise<void>;
}

/** Starts a program whose output is thrown away, except when it ends by itself: `failed` gets the end of it. */
export function startProgram(file: string, args: readonly string[], failed: (text: string) => void): Program {
  const child: ChildProcess = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let tail = '';
  let stopping = false;
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.on('data', (data: Buffer) => {
      tail = (tail + data.toString()).slice(-2_000);
    });
  }
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => {
      if (!stopping) failed(`${file} ended by itself:\n${tail}`);
      resolve();
    });
    child.once('error', (error) => {
      failed(`${file}: ${error.message}`);
      resolve();
    });
  });
  return {
    pid: child.pid ?? -1,
    async stop() {
      stopping = true;
      child.kill('SIGTERM');
      const force = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await ended;
      clearTimeout(force);
    },
  };
}

/** Resident memory of a process, pages of mapped files included (MB of 10^6 bytes). */
export function residentMegabytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return (Number(kilobytes) * 1_024) / 1e6;
}

/** Seconds of processor time that a process has used, all threads. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // utime and stime, in the kernel's ticks of 10 ms.
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Path of a program: the one that the variable names, or the first on the PATH. */
export function findProgram(name: string, variable: string): string | undefined {
  const named = process.env[variable];
  if (named) return named;
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((file) => existsSync(file));
}
