import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** What tells one process of all machines from every other, and lets another process of the same machine see that it has ended. */
export interface ProcessIdentity {
  readonly host: string;
  /** Changes with every boot. */
  readonly boot: string;
  /** The PID namespace in which `pid` counts. */
  readonly pidNamespace: string;
  readonly pid: number;
  /** Clock ticks since boot, so that a reused pid is not taken for the old process. */
  readonly started: string;
}

export const renderIdentity = ({ host, boot, pidNamespace, pid, started }: ProcessIdentity): string =>
  [host, boot, pidNamespace, pid, started].join('_');

/** This process's identity, read from /proc. */
export function readIdentity(): ProcessIdentity {
  return {
    host: hostname(),
    boot: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    pidNamespace: readlinkSync('/proc/self/ns/pid').replace(/\D/g, ''),
    pid: process.pid,
    started: startTime(process.pid) ?? '0',
  };
}

/**
 * Whether the holder of a lease was a process of this boot and PID namespace that has ended. False for anything else, also for identities
 * that others made: those must be waited for.
 */
export function isGone(holder: string, self: ProcessIdentity, startTimeOf: (pid: number) => string | undefined = startTime): boolean {
  const [started, pid, pidNamespace, boot, ...host] = holder.split('_').reverse();
  if (host.reverse().join('_') !== self.host || boot !== self.boot || pidNamespace !== self.pidNamespace || !/^\d+$/.test(pid ?? ''))
    return false;
  return startTimeOf(Number(pid)) !== started;
}

/** Field 22 of proc(5)'s stat; undefined when there is no such process. The command in field 2 may hold spaces and parentheses. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie has ended; only its parent has not looked yet.
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
