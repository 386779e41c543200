import {
  chmodSync,
  copyFileSync,
  linkSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { makeFolder } from './make-folder.ts';

/** Puts text into a file at once: readers see the old text or the new, never a part. Makes the folder. @throws the system's error */
export function writeFileAtomically(path: string, text: string, mode: number): void {
  putInPlace(path, (temporary) => {
    writeFileSync(temporary, text, { mode });
    // The mode above is cut by the umask.
    chmodSync(temporary, mode);
  });
}

/** Content of a small text file; undefined when there is none. @throws the system's error otherwise */
export function readFileIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Is `target` what {@link installExecutable} would make it? Compares inode, or size and time of change. */
export function isInstalled(source: string, target: string): boolean {
  const from = statSync(source);
  const to = statSync(target, { throwIfNoEntry: false });
  if (!to) return false;
  if (from.ino === to.ino && from.dev === to.dev) return true;
  return from.size === to.size && Math.abs(from.mtimeMs - to.mtimeMs) < 1;
}

/**
 * Puts an executable in place by renaming, so that one that runs is not written to: a hard link on the same file system, a copy elsewhere.
 * Makes the folder. @throws the system's error
 */
export function installExecutable(source: string, target: string): void {
  if (isInstalled(source, target)) return;
  putInPlace(target, (temporary) => linkOrCopy(source, temporary));
}

/** Puts a symbolic link in place, over whatever is there. Makes the folder. @throws the system's error */
export function installLink(target: string, path: string): void {
  if (linkTargetOf(path) === target) return;
  putInPlace(path, (temporary) => symlinkSync(target, temporary));
}

/** Makes something under a name beside `path` and renames it, so that there is always the one or the other. */
function putInPlace(path: string, make: (temporary: string) => void): void {
  makeFolder(dirname(path), 0o755);
  const temporary = temporaryOf(path);
  try {
    rmSync(temporary, { force: true });
    make(temporary);
    renameSync(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** Where a symbolic link leads; undefined for anything that is none. */
export function linkTargetOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function linkOrCopy(source: string, target: string): void {
  try {
    linkSync(source, target);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EXDEV' && code !== 'EPERM' && code !== 'EMLINK') throw error;
    copyFileSync(source, target);
    const { atime, mtime } = statSync(source);
    chmodSync(target, 0o755);
    utimesSync(target, atime, mtime);
  }
}

/** In the same folder, so that the rename stays on one file system; hidden, so that no runtime takes it for a configuration or a plugin. */
const temporaryOf = (path: string): string => join(dirname(path), `.${basename(path)}.${process.pid}`);
