import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ContainerRecord, parseContainerRecord } from '../container-record.ts';
import type { NameFiles } from '../render/name-files.ts';

type Mark = 'started' | 'exit' | 'listening' | 'problem';

/** The files of one pod, `<root>/pods/<uid>/`. */
export interface PodFiles {
  readonly dir: string;
  readonly sandboxFile: string;
  readonly filesDir: string;
  readonly logsDir: string;
  /** The log of one run. */
  readonly log: (container: string, attempt: number) => string;
  readonly volumesDir: string;
  /** Where a container's own mounts keep what has no place on the node. */
  readonly scratchDir: string;
  readonly ioDir: string;
  /** What the names of one run's pipes begin with. */
  readonly io: (container: string, attempt: number) => string;
  readonly record: (container: string) => string;
  /** Written by the shims and by programs that announce themselves. */
  readonly mark: (container: string, attempt: number, mark: Mark) => string;
}

/** uids are made by API servers; only their form is relied on, so that none can reach outside of the folder. */
export function podFiles(root: string, uid: string): PodFiles {
  if (!/^[A-Za-z0-9][A-Za-z0-9-]{0,127}$/.test(uid)) throw new RangeError(`${JSON.stringify(uid)} is not a pod uid`);
  const dir = join(root, 'pods', uid);
  return {
    dir,
    sandboxFile: join(dir, 'sandbox.json'),
    filesDir: join(dir, 'etc'),
    // Folders of their own: what happens in them is not watched.
    logsDir: join(dir, 'logs'),
    log: (container, attempt) => join(dir, 'logs', `${container}.${attempt}.log`),
    volumesDir: join(dir, 'volumes'),
    scratchDir: join(dir, 'scratch'),
    ioDir: join(dir, 'io'),
    io: (container, attempt) => join(dir, 'io', `${container}.${attempt}`),
    record: (container) => join(dir, `${container}.json`),
    mark: (container, attempt, mark) => join(dir, `${container}.${attempt}.${mark}`),
  };
}

export function podUids(root: string): string[] {
  const folder = join(root, 'pods');
  return existsSync(folder) ? readdirSync(folder).filter((name) => /^[A-Za-z0-9][A-Za-z0-9-]{0,127}$/.test(name)) : [];
}

/** A file is there whole or not at all. */
export function writeWhole(file: string, text: string): void {
  writeFileSync(`${file}.tmp`, text, { mode: 0o600 });
  renameSync(`${file}.tmp`, file);
}

export function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** When a file was last written (ms since the epoch); undefined when there is none. */
export const writtenAt = (file: string): number | undefined => statSync(file, { throwIfNoEntry: false })?.mtimeMs;

/** The state files of a pod's containers. `sandbox.json` cannot be one's: the names in it would not match. */
export function readRecords(files: PodFiles): ContainerRecord[] {
  return readdirSync(files.dir)
    .filter((name) => name.endsWith('.json') && join(files.dir, name) !== files.sandboxFile)
    .flatMap((name) => parseContainerRecord(readIfThere(join(files.dir, name)) ?? '') ?? []);
}

/** Writes the pod's own files below /etc; the folder is '' when there are none. */
export function writeNameFiles(files: PodFiles, contents: NameFiles): string {
  const entries = Object.entries(contents);
  if (entries.length === 0) return '';
  mkdirSync(files.filesDir, { recursive: true, mode: 0o755 });
  for (const [name, text] of entries) writeFileSync(join(files.filesDir, name), text, { mode: 0o644 });
  return files.filesDir;
}

/** Retried, as a shim may be writing its last mark. */
export const removePodFiles = (files: PodFiles): void => rmSync(files.dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
