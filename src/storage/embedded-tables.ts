import { chmodSync, existsSync, mkdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { open, type Database, type RootDatabase } from 'lmdb';
import { isAlive, thisProcess, type FolderOwner } from './folder-owner.ts';
import { lmdbFileProblem } from './lmdb-file.ts';
import { StoreError, type StoredValue, type StoreEvent } from './store.ts';

/*
 * How the embedded store lies in its folder: an lmdb environment with three tables. Records are arrays, which lmdb packs with msgpack.
 *
 *     values    key -> value, revision of creation, revision of the last change
 *     history   revision -> the changes of that transaction
 *     meta      revision, compacted, compactedShort, format, owner
 */

type ValueRecord = [value: string, createRevision: number, modRevision: number];
type EventRecord = [type: 0 | 1, key: string, value: string, previous: ValueRecord | 0];
type MetaValue = number | FolderOwner;

/**
 * Address space to begin with, in bytes; it costs nothing until the file grows into it, and lmdb takes more when that is not enough. lmdb-js keeps
 * each smaller map it had besides the larger one, and pages that are seen in several of them count that often as resident memory.
 */
const mapSize = 2 ** 30;

/** Of the history's records. A store with another one loses its history when it is opened, so that watchers list anew. */
const historyFormat = 2;

export interface Tables {
  readonly env: RootDatabase;
  readonly values: Database<ValueRecord, string>;
  readonly history: Database<EventRecord[], number>;
  readonly meta: Database<MetaValue, string>;
}

/**
 * Opens the environment, made when missing unless `readOnly`. Any number of processes may read while one writes.
 * @throws StoreError `unwritable`.
 */
export function openTables(folder: string, readOnly = false): Tables {
  try {
    if (!readOnly) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      chmodSync(folder, 0o700);
    }
    const file = join(folder, 'data.mdb');
    const problem = existsSync(file) ? lmdbFileProblem(file) : undefined;
    if (problem) throw new Error(`${file}: ${problem}; restore a backup into another folder`);
    // Without overlappingSync a write's promise resolves only after its fdatasync, so whatever a reader can see is durable. Without
    // eventTurnBatching lmdb-js makes no promise of its own whose rejection nobody could handle when the disk is full.
    const env = open({ path: folder, mapSize, overlappingSync: false, eventTurnBatching: false, maxDbs: 8, readOnly });
    return { env, values: env.openDB({ name: 'values' }), history: env.openDB({ name: 'history' }), meta: env.openDB({ name: 'meta' }) };
  } catch (error) {
    throw new StoreError('unwritable', `cannot open the store in ${folder}: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Makes this process the owner of the folder. lmdb's own write lock, which the kernel frees when its holder dies, makes the claim free of races.
 * @throws StoreError `locked`.
 */
export function claimFolder({ env, meta }: Tables, folder: string): void {
  const owner = env.transactionSync(() => {
    const standing = meta.get('owner') as FolderOwner | undefined;
    if (standing && isAlive(standing)) return standing;
    meta.putSync('owner', thisProcess());
    return undefined;
  });
  if (owner)
    throw new StoreError('locked', `the store in ${folder} is in use by process ${owner.pid}; stop it first, or use another folder`);
}

export const releaseFolder = ({ env, meta }: Tables): void => env.transactionSync(() => void meta.removeSync('owner'));

/** The process that has the folder open for writing; undefined when there is none. */
export function folderOwner({ meta }: Tables): number | undefined {
  const owner = meta.get('owner') as FolderOwner | undefined;
  return owner && isAlive(owner) ? owner.pid : undefined;
}

export interface Counters {
  readonly revision: number;
  readonly compacted: number;
  readonly compactedShort: number;
}

export function readCounters({ meta }: Tables, transaction?: ReturnType<RootDatabase['useReadTransaction']>): Counters {
  const read = (name: string): number => (meta.get(name, ...(transaction ? [{ transaction }] : [])) as number | undefined) ?? 0;
  const compacted = read('compacted');
  return { revision: read('revision'), compacted, compactedShort: Math.max(compacted, read('compactedShort')) };
}

/** Drops a history that is written in another format. */
export function migrateHistory({ env, history, meta }: Tables): void {
  if (meta.get('format') === historyFormat) return;
  env.transactionSync(() => {
    history.clearSync();
    const revision = (meta.get('revision') as number | undefined) ?? 0;
    meta.putSync('compacted', revision);
    meta.putSync('compactedShort', revision);
    meta.putSync('format', historyFormat);
  });
}

/** What one lmdb transaction changes. */
export interface TableChanges {
  /** Undefined removes the key. */
  readonly values: ReadonlyMap<string, StoredValue | undefined>;
  readonly history: readonly (readonly [revision: number, events: readonly StoreEvent[]])[];
  readonly forget: readonly number[];
  readonly counters: Counters;
}

/**
 * Makes the changes in one transaction; resolves when they are on disk. Nothing is changed when it rejects.
 *
 * On a disk that is quick the transaction is done here and now: to hand it to lmdb's thread and to be told of its end takes longer than the disk does,
 * and now and then ten times as long (seen with lmdb 3.5). On a slow one others would wait for it, so it goes to the thread.
 * @throws StoreError `full` or `unwritable`.
 */
export async function writeTables(tables: Tables, changes: TableChanges, folder: string, pace?: DiskPace): Promise<void> {
  try {
    // Whoever has nothing else to do waits.
    if (pace) await pace.time(() => (pace.isQuick() ? writeNow(tables, changes) : writeInThread(tables, changes)));
    else writeNow(tables, changes);
  } catch (error) {
    throw await toStoreError(error, folder);
  }
}

/** How long commits have been taking. */
export interface DiskPace {
  isQuick(): boolean;
  /** Runs one commit and takes its time. */
  time(commit: () => Promise<void> | void): Promise<void>;
}

/** A turn of the event loop may wait this long for the disk (ms). */
const quick = 2;
/** How much the last commit counts in the average. */
const weight = 0.1;

/** `now` tells milliseconds from any moment on. A disk is quick until it proves slow. */
export function createDiskPace(now: () => number): DiskPace {
  let average = 0;
  return {
    isQuick: () => average < quick,
    async time(commit) {
      const start = now();
      const done = commit();
      // What is done already has taken its time by now; waiting for a promise would count others' turns.
      if (done) await done;
      average += weight * (now() - start - average);
    },
  };
}

function writeNow({ env, values, history, meta }: Tables, changes: TableChanges): void {
  env.transactionSync(() => {
    for (const [key, value] of changes.values) {
      if (value) values.putSync(key, toRecord(value));
      else values.removeSync(key);
    }
    for (const [revision, events] of changes.history) history.putSync(revision, events.map(toEventRecord));
    for (const revision of changes.forget) history.removeSync(revision);
    for (const name of ['revision', 'compacted', 'compactedShort'] as const) meta.putSync(name, changes.counters[name]);
  });
}

async function writeInThread({ env, values, history, meta }: Tables, changes: TableChanges): Promise<void> {
  const writes: Promise<unknown>[] = [];
  // All operations issued inside batch() go into one lmdb transaction.
  writes.push(
    env.batch(() => {
      for (const [key, value] of changes.values) writes.push(value ? values.put(key, toRecord(value)) : values.remove(key));
      for (const [revision, events] of changes.history) writes.push(history.put(revision, events.map(toEventRecord)));
      for (const revision of changes.forget) writes.push(history.remove(revision));
      for (const name of ['revision', 'compacted', 'compactedShort'] as const) writes.push(meta.put(name, changes.counters[name]));
    }),
  );
  await Promise.all(writes);
}

async function toStoreError(error: unknown, folder: string): Promise<StoreError> {
  // lmdb-js gives the reason apart, as a promise that rejects with it.
  const { commitError } = error as { commitError?: Promise<never> };
  const cause = commitError ? await commitError.catch((reason: unknown) => reason) : error;
  const { code, message } = cause as { code?: number; message: string };
  const what = message.split(': Attempting')[0]!;
  if (code === ENOSPC || code === EDQUOT || code === MDB_MAP_FULL || (code === EIO && freeBytes(folder) < littleRoom)) {
    const advice = `Free space on the file system of ${folder} or enlarge it; nothing of this write was stored, and writing goes on by itself once there is room`;
    return new StoreError('full', `the store's disk is full (${what}). ${advice}`, { cause });
  }
  return new StoreError('unwritable', `the store in ${folder} cannot write: ${what}`, { cause });
}

/** Bytes that are free on the folder's file system. */
function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

/** A write that only a part of found room is an input/output error to lmdb; then hardly anything is free (bytes). */
const littleRoom = 1024 * 1024;
const EIO = 5;
const ENOSPC = 28;
const EDQUOT = 122;
const MDB_MAP_FULL = -30_792;

/** What lmdb tells of a database, as far as we read it (mdb_stat, mdb_env_info). */
interface LmdbStats {
  readonly pageSize: number;
  readonly lastPageNumber: number;
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

export function tableSizes({ env, values, history, meta }: Tables): { bytes: number; bytesInUse: number } {
  const { pageSize, lastPageNumber } = env.getStats() as LmdbStats;
  return { bytes: (lastPageNumber + 1) * pageSize, bytesInUse: bytesOf(values) + bytesOf(history) + bytesOf(meta) };
}

function bytesOf(table: { getStats(): object }): number {
  const { pageSize, treeBranchPageCount, treeLeafPageCount, overflowPages } = table.getStats() as LmdbStats;
  return pageSize * (treeBranchPageCount + treeLeafPageCount + overflowPages);
}

export const toStored = (key: string, [value, createRevision, modRevision]: ValueRecord): StoredValue => ({
  key,
  value,
  createRevision,
  modRevision,
});
const toRecord = ({ value, createRevision, modRevision }: StoredValue): ValueRecord => [value, createRevision, modRevision];

const toEventRecord = ({ type, key, value, previous }: StoreEvent): EventRecord => [
  type === 'put' ? 1 : 0,
  key,
  // A deletion's value is the previous one; it is stored once.
  type === 'put' ? value : '',
  previous ? toRecord(previous) : 0,
];

export const toEvents = (revision: number, records: readonly EventRecord[]): StoreEvent[] =>
  records.map(([type, key, value, previous]) => {
    const before = previous === 0 ? undefined : toStored(key, previous);
    return {
      type: type === 1 ? 'put' : 'delete',
      key,
      value: type === 1 ? value : (before?.value ?? ''),
      ...(before ? { previous: before } : {}),
      revision,
    };
  });
