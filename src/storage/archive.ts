import { createHash } from 'node:crypto';
import { closeSync, createReadStream, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { splitLines } from '../runtime/split-lines.ts';
import { StoreError, type StoredValue } from './store.ts';

/*
 * A backup is a text file, one JSON object a line:
 *
 *     {"format":"podwire-backup","version":1,"revision":812,"takenAt":"2026-01-31T12:00:00.000Z","source":"embedded"}
 *     {"key":"/registry/pods/default/web","value":"{\"kind\":\"Pod\",...}","createRevision":17,"modRevision":23}
 *     ...                                                              keys in order, as of that one revision
 *     {"end":true,"keys":204,"sha256":"..."}                           of all bytes before this line
 */

export interface ArchiveHeader {
  readonly format: 'podwire-backup';
  readonly version: 1;
  /** Of the store that was backed up. */
  readonly revision: number;
  /** RFC 3339. */
  readonly takenAt: string;
  readonly source: 'embedded' | 'etcd';
}

/** A line is at most a value of 1.5 MiB, every character of it escaped. */
const longestLine = 16 * 1024 * 1024;
const flushBytes = 1024 * 1024;

/**
 * Writes a backup: under another name until it is complete and on the disk, readable by its owner alone. Returns the number of keys.
 * @throws the system's error, or what `values` throws; then there is no file, or the old one.
 */
export async function writeArchive(
  path: string,
  header: ArchiveHeader,
  pages: AsyncIterable<readonly StoredValue[]>,
  onProgress: (keys: number) => void,
): Promise<number> {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}`);
  rmSync(temporary, { force: true });
  const file = openSync(temporary, 'wx', 0o600);
  try {
    const hash = createHash('sha256');
    let pending = '';
    const flush = (): void => {
      const bytes = Buffer.from(pending);
      hash.update(bytes);
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      pending = '';
    };
    const line = (object: object): void => {
      pending += `${JSON.stringify(object)}\n`;
      if (pending.length > flushBytes) flush();
    };
    line(header);
    let keys = 0;
    for await (const page of pages) {
      for (const { key, value, createRevision, modRevision } of page) line({ key, value, createRevision, modRevision });
      keys += page.length;
      onProgress(keys);
    }
    flush();
    writeSync(file, `${JSON.stringify({ end: true, keys, sha256: hash.digest('hex') })}\n`);
    fsyncSync(file);
    closeSync(file);
    renameSync(temporary, path);
    syncFolder(dirname(path));
    return keys;
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** Makes the names in a folder durable. */
export function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r');
  fsyncSync(handle);
  closeSync(handle);
}

/** Reads a whole backup and checks it. @throws StoreError `invalid` for a file that is no backup, or not all of one. */
export async function checkArchive(path: string): Promise<ArchiveHeader & { readonly keys: number }> {
  let keys = 0;
  const reader = readArchive(path);
  for (;;) {
    const { value, done } = await reader.next();
    if (done) return { ...value, keys };
    keys++;
  }
}

/**
 * The values of a backup, in order; returns its header. What it yields is to be believed only once it has returned: the checksum comes last.
 * @throws StoreError `invalid`.
 */
export async function* readArchive(path: string): AsyncGenerator<StoredValue, ArchiveHeader> {
  const hash = createHash('sha256');
  let header: ArchiveHeader | undefined;
  let keys = 0;
  let last = '';
  let ended = false;
  const broken = (why: string): StoreError => new StoreError('invalid', `${path} is not a complete podwire backup: ${why}`);
  try {
    for await (const line of splitLines(createReadStream(path), longestLine)) {
      if (ended) throw broken('something follows its end');
      const object = parseLine(line, broken);
      if (object['end'] === true) {
        if (object['keys'] !== keys || object['sha256'] !== hash.digest('hex')) throw broken('its checksum does not match');
        ended = true;
        continue;
      }
      hash.update(`${line}\n`);
      if (!header) {
        header = toHeader(object, broken);
        continue;
      }
      const value = toValue(object, header.revision, broken);
      if (value.key <= last) throw broken(`its keys are not in order (${value.key})`);
      last = value.key;
      keys++;
      yield value;
    }
  } catch (error) {
    throw error instanceof RangeError ? broken(error.message) : error;
  }
  if (!header || !ended) throw broken('its end is missing');
  return header;
}

type Broken = (why: string) => StoreError;

function parseLine(line: string, broken: Broken): Record<string, unknown> {
  try {
    const object: unknown = JSON.parse(line);
    if (typeof object === 'object' && object !== null) return object as Record<string, unknown>;
  } catch {
    // Answered below.
  }
  throw broken(`${JSON.stringify(line.slice(0, 60))} is not a line of one`);
}

function toHeader({ format, version, revision, takenAt, source }: Record<string, unknown>, broken: Broken): ArchiveHeader {
  if (format !== 'podwire-backup') throw broken('its first line is not that of a backup');
  if (version !== 1) throw broken(`it is of version ${JSON.stringify(version)}; this podwire reads version 1`);
  if (!Number.isSafeInteger(revision) || typeof takenAt !== 'string' || (source !== 'embedded' && source !== 'etcd'))
    throw broken('its header lacks something');
  return { format, version, revision: revision as number, takenAt, source };
}

function toValue({ key, value, createRevision, modRevision }: Record<string, unknown>, revision: number, broken: Broken): StoredValue {
  const isRevision = (number: unknown): number is number => Number.isSafeInteger(number) && (number as number) > 0;
  if (typeof key !== 'string' || typeof value !== 'string' || !isRevision(createRevision) || !isRevision(modRevision))
    throw broken('a line of it lacks something');
  if (createRevision > modRevision || modRevision > revision) throw broken(`the revisions of ${key} cannot be`);
  return { key, value, createRevision, modRevision };
}
