import { closeSync, fstatSync, openSync, renameSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { readFileIfThere } from './install-file.ts';
import { makeFolder } from './make-folder.ts';

/** Bytes of one of the two files. */
const defaultLimit = 1024 * 1024;

/** The older of the two. */
const olderOf = (path: string): string => `${path}.1`;

/**
 * Appends a line to a log that never grows beyond twice the limit: a file that is full becomes PATH.1, in the place of the one before. Any number of
 * processes may append; a line is one write(2), so that lines are never mixed, and only a power loss can cut one short. @throws the system's error
 */
export function appendToLog(path: string, line: string, limit: number = defaultLimit): void {
  const fd = openForAppending(path);
  try {
    writeSync(fd, `${line}\n`);
    const { size, ino } = fstatSync(fd);
    // Several may find it full: who finds another file at the path comes late.
    if (size > limit && statSync(path, { throwIfNoEntry: false })?.ino === ino) renameSync(path, olderOf(path));
  } finally {
    closeSync(fd);
  }
}

/** All that the log holds, the oldest line first; lines that were cut short included. Empty when there is none. @throws the system's error */
export const readLog = (path: string): string => {
  const newer = readFileIfThere(path) ?? '';
  return (readFileIfThere(olderOf(path)) ?? '') + newer;
};

function openForAppending(path: string): number {
  try {
    return openSync(path, 'a', 0o644);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    makeFolder(dirname(path), 0o755);
    return openSync(path, 'a', 0o644);
  }
}
