import { readdirSync, readFileSync } from 'node:fs';
import type { ProcessIdentity } from './processes.ts';

/** A process, and whose it is. */
export interface ProcessEntry extends ProcessIdentity {
  readonly parent: number;
  readonly session: number;
}

/** Every process that there is now, zombies included. */
export const processTable = (): readonly ProcessEntry[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readEntry(Number(name)) ?? []);

/** The processes given by their ids, and all that they have started, and so on. */
export function withDescendants(pids: readonly number[]): readonly ProcessEntry[] {
  const all = processTable();
  const members = new Set(pids);
  for (let before = -1; before !== members.size; ) {
    before = members.size;
    for (const { pid, parent } of all) if (members.has(parent)) members.add(pid);
  }
  return all.filter(({ pid }) => members.has(pid));
}

function readEntry(pid: number): ProcessEntry | undefined {
  try {
    // proc(5): the command in parentheses may hold anything; the fields are counted from behind it.
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { pid, parent: Number(fields[1]), session: Number(fields[3]), startTime: Number(fields[19]) };
  } catch {
    // Ended meanwhile.
    return undefined;
  }
}
