import {
  closeSync,
  constants,
  existsSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { appendToLog } from './bounded-log.ts';
import { type LineQueue, openLineQueues } from './line-queue.ts';
import { makeFolder } from './make-folder.ts';

/**
 * Names claimed by owners, as files: shared by any number of processes without a lock, true at every instruction, readable by a person.
 *
 *     DIRECTORY/boot-GENERATION/owners/KEY     the owner's record
 *     DIRECTORY/boot-GENERATION/claims/NAME    a hard link to the record of the owner that has the name
 *     DIRECTORY/boot-GENERATION/notes/NAME     a small remark, the last writer's
 *     DIRECTORY/boot-GENERATION/queues/NAME    lines in the order in which they were written, see line-queue.ts
 *     DIRECTORY/journal                        what happened, in this and in former generations; bounded, see bounded-log.ts
 *
 * link(2) fails if the name exists, so two owners never have the same name, and a claim is never empty. Files of another generation are
 * not seen and are removed when the first claim of this one is made: with the machine's boot id as generation nothing has to survive a
 * power loss, and nothing has to be written through to the disk.
 */
export interface ClaimFiles {
  readOwner(key: string): string | undefined;
  /** Replaces the record; claims made before keep the record of their time. */
  writeOwner(key: string, record: string): void;
  /**
   * Appends a few bytes to the record, all or none of them; the claims made with it show them too. Does nothing when there is no record. A hundred
   * times as fast as to replace the record: a file that replaces another is put on the disk first (ext4, btrfs), and this one is soon removed.
   */
  appendToOwner(key: string, text: string): void;
  /** Also what a writer that was killed left behind. */
  removeOwner(key: string): void;
  owners(): string[];
  /** Owners whose record somebody is writing at this moment, or was when it was killed. */
  unfinishedOwners(): string[];
  /** Claims the name with the owner's present record; false when it is taken. @throws when the owner has no record. */
  claim(key: string, name: string): boolean;
  readClaim(name: string): string | undefined;
  /** At the price of one system call. */
  isClaimed(name: string): boolean;
  release(name: string): void;
  claims(): string[];
  /** The names that are hard links to the owner's present record; reads the folder of claims. */
  claimsWithRecord(key: string): string[];
  readNote(name: string): string | undefined;
  /** On behalf of an owner: what a killed writer leaves goes with that owner. */
  writeNote(key: string, name: string, text: string): void;
  readonly queues: LineQueue;
  /** Appends to the journal. Never throws: what is to be journaled has happened, whether that can be written down or not. */
  journal(line: string): void;
  /** Milliseconds since the epoch. */
  now(): number;
  /** Changes when owners come or go; for caches. */
  version(): string;
}

/** Where the journal of the claims in a directory is; it is read with `readLog`. */
export const journalPath = (directory: string): string => join(directory, 'journal');

/** Records are a few hundred bytes; anything longer was not written by us. */
const maxRecordBytes = 64 * 1024;

/** @throws the system's error (EACCES, ENOSPC, EROFS, ...) from any of the functions. */
export function openClaimFiles(directory: string, generation: string): ClaimFiles {
  const root = join(directory, `boot-${checkName(generation)}`);
  const pathOf = (folder: 'owners' | 'claims' | 'notes' | 'queues', name: string): string => join(root, folder, checkName(name));

  /** Runs `write`; when a folder is missing, makes all of them and runs it again. */
  function withFolders(write: () => void): void {
    try {
      write();
    } catch (error) {
      if (!isCode(error, 'ENOENT')) throw error;
      // Owners last: whoever finds that folder made by another process finds the others too.
      for (const folder of ['claims', 'notes', 'queues', 'owners']) makeFolder(join(root, folder), 0o755);
      removeOtherGenerations(directory, `boot-${generation}`);
      write();
    }
  }

  // The temporary file is named after the owner, so that whoever removes the owner finds it. One owner is written by one process at a time.
  const temporaryOf = (key: string): string => join(root, 'owners', `.${checkName(key)}`);

  function replace(key: string, path: string, text: string): void {
    withFolders(() => writeFileSync(temporaryOf(key), text, { mode: 0o644 }));
    renameSync(temporaryOf(key), path);
  }

  return {
    readOwner: (key) => readText(pathOf('owners', key)),
    writeOwner: (key, record) => replace(key, pathOf('owners', key), record),
    appendToOwner(key, text) {
      try {
        // Not the flag of appendFileSync, which would make the file.
        const file = openSync(pathOf('owners', key), constants.O_WRONLY | constants.O_APPEND);
        try {
          writeSync(file, text);
        } finally {
          closeSync(file);
        }
      } catch (error) {
        if (!isCode(error, 'ENOENT')) throw error;
      }
    },
    removeOwner(key) {
      unlinkIfThere(temporaryOf(key));
      unlinkIfThere(pathOf('owners', key));
    },
    owners: () => list(join(root, 'owners')),
    unfinishedOwners: () => listAll(join(root, 'owners')).flatMap((name) => (name.startsWith('.') ? [name.slice(1)] : [])),
    claim(key, name) {
      try {
        linkSync(pathOf('owners', key), pathOf('claims', name));
        return true;
      } catch (error) {
        if (isCode(error, 'EEXIST')) return false;
        throw error;
      }
    },
    readClaim: (name) => readText(pathOf('claims', name)),
    isClaimed: (name) => existsSync(pathOf('claims', name)),
    release: (name) => unlinkIfThere(pathOf('claims', name)),
    claims: () => list(join(root, 'claims')),
    claimsWithRecord(key) {
      const record = inodeOf(pathOf('owners', key));
      return record === undefined ? [] : list(join(root, 'claims')).filter((name) => inodeOf(pathOf('claims', name)) === record);
    },
    readNote: (name) => readText(pathOf('notes', name)),
    writeNote: (key, name, text) => replace(key, pathOf('notes', name), text),
    queues: openLineQueues((name) => pathOf('queues', name)),
    journal(line) {
      try {
        appendToLog(journalPath(directory), line);
      } catch {
        // A full disk has refused the claim already, and does not stand in the way of a release.
      }
    },
    now: () => Date.now(),
    version() {
      try {
        const { mtimeNs, ino } = statSync(join(root, 'owners'), { bigint: true });
        return `${ino}.${mtimeNs}`;
      } catch (error) {
        if (isCode(error, 'ENOENT')) return 'absent';
        throw error;
      }
    },
  };
}

/** Not rmSync: that takes five times as long. */
function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw error;
  }
}

function removeOtherGenerations(directory: string, own: string): void {
  for (const name of readdirSync(directory)) {
    if (/^boot-[\w.-]+$/.test(name) && name !== own) rmSync(join(directory, name), { recursive: true, force: true });
  }
}

const inodeOf = (path: string): bigint | undefined => statSync(path, { bigint: true, throwIfNoEntry: false })?.ino;

const list = (directory: string): string[] => listAll(directory).filter((name) => !name.startsWith('.'));

function listAll(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return [];
    throw error;
  }
}

function readText(path: string): string | undefined {
  try {
    const text = readFileSync(path, 'utf8');
    return text.length > maxRecordBytes ? text.slice(0, maxRecordBytes) : text;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** A name becomes one path component. */
function checkName(name: string): string {
  if (!/^[^/\0]{1,240}$/.test(name) || name.startsWith('.')) throw new RangeError(`${JSON.stringify(name)} cannot be a file name`);
  return name;
}

const isCode = (error: unknown, code: string): boolean => (error as NodeJS.ErrnoException).code === code;
