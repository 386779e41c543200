import { readFileSync } from 'node:fs';

/** Which process has a store open. A number alone could be reused by another process, so its start time and the boot are part of it. */
export interface FolderOwner {
  readonly pid: number;
  /** Clock ticks after boot at which the process started (proc(5), stat field 22). */
  readonly startTime: string;
  readonly bootId: string;
}

/** This process as an owner. */
export const thisProcess = (): FolderOwner => ({ pid: process.pid, startTime: startTimeOf(process.pid) ?? '', bootId: bootId() });

/** Whether the process that claimed ownership still runs. False after kill -9 and after a reboot. */
export const isAlive = (owner: FolderOwner): boolean => owner.bootId === bootId() && startTimeOf(owner.pid) === owner.startTime;

const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

function startTimeOf(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The command in parentheses may hold spaces and parentheses itself: fields are counted from its end.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // A zombie holds nothing any more.
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
}
