import { linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Names claimed by owners, as files: shared by any number of processes without a lock, true at every instruction, readable by a person.
 *
 *     DIRECTORY/boot-GENERATION/owners/KEY     the owner's record
 *     DIRECTORY/boot-GENERATION/claims/NAME    a hard link to the record of the owner that has the name
 *     DIRECTORY/boot-GENERATION/notes/NAME     a small remark, the last writer's
 *
 * link(2) fails if the name exists, so two owners never have the same name, and a claim is never empty. Files of another generation are
 * not seen and are removed when the first claim of this one is made: with the machine's boot id as generation nothing has to survive a
 * power loss, and nothing has to be written through to the disk.
 */
export interface ClaimFiles {
  readOwner(key: string): string | undefined;
  /** Replaces the record; claims made before keep the record of their time. */
  writeOwner(key: string, record: string): void;
  /** Also what a writer that was killed left behind. */
  removeOwner(key: string): void;
  owners(): string[];
  /** Claims the name with the owner's present record; false when it is taken. @throws when the owner has no record. */
  claim(key: string, name: string): boolean;
  readClaim(name: string): string | undefined;
  release(name: string): void;
  claims(): string[];
  readNote(name: string): string | undefined;
  /** On behalf of an owner: what a killed writer leaves goes with that owner. */
  writeNote(key: string, name: string, text: string): void;
  /** Changes when owners come or go; for caches. */
  version(): string;
}

/** Records are a few hundred bytes; anything longer was not written by us. */
const maxRecordBytes = 64 * 1024;

/** @throws the system's error (EACCES, ENOSPC, EROFS, ...) from any of the functions. */
export function openClaimFiles(directory: string, generation: string): ClaimFiles {
  const root = join(directory, `boot-${checkName(generation)}`);
  const pathOf = (folder: 'owners' | 'claims' | 'notes', name: string): string => join(root, folder, checkName(name));

  /** Runs `write`; when a folder is missing, makes all of them and runs it again. */
  function withFolders(write: () => void): void {
    try {
      write();
    } catch (error) {
      if (!isCode(error, 'ENOENT')) throw error;
      // Owners last: whoever finds that folder made by another process finds the others too.
      for (const folder of ['claims', 'notes', 'owners']) mkdirSync(join(root, folder), { recursive: true, mode: 0o755 });
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
    removeOwner(key) {
      unlinkIfThere(temporaryOf(key));
      unlinkIfThere(pathOf('owners', key));
    },
    owners: () => list(join(root, 'owners')),
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
    release: (name) => unlinkIfThere(pathOf('claims', name)),
    claims: () => list(join(root, 'claims')),
    readNote: (name) => readText(pathOf('notes', name)),
    writeNote: (key, name, text) => replace(key, pathOf('notes', name), text),
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

function list(directory: string): string[] {
  try {
    return readdirSync(directory).filter((name) => !name.startsWith('.'));
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
