import { existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { syncFolder } from './archive.ts';
import {
  claimFolder,
  folderOwner,
  migrateHistory,
  openTables,
  readCounters,
  releaseFolder,
  type Tables,
  writeTables,
} from './embedded-tables.ts';
import { assertStoreIn, hasStore } from './snapshot.ts';
import { StoreError, type StoredValue } from './store.ts';

/*
 * What is done with an embedded store while no server runs on it. A store is replaced by renaming a complete one over its file, so whenever the
 * machine stops there is the old one or the new one.
 */

const batchKeys = 1_000;

/**
 * Makes a store of these values in the folder. Values keep their revisions; the store's is `revision`, and there is no history before it.
 * @throws StoreError `invalid` when there is a store already and `force` is not set, `locked` when a server runs on it, `full`.
 */
export async function createEmbeddedStore(
  folder: string,
  values: AsyncIterable<StoredValue>,
  options: { readonly revision: number; readonly force: boolean; readonly onProgress: (keys: number) => void },
): Promise<void> {
  const { revision, force, onProgress } = options;
  if (hasStore(folder) && !force) {
    throw new StoreError('invalid', `there is a store in ${folder} already; choose another folder, or give --force to replace it`);
  }
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const standing = hasStore(folder) ? openTables(folder) : undefined;
  const temporary = join(folder, `.restore-${process.pid}`);
  try {
    if (standing) claimFolder(standing, folder);
    rmSync(temporary, { recursive: true, force: true });
    const tables = openTables(temporary);
    try {
      migrateHistory(tables);
      claimFolder(tables, temporary);
      await fill(tables, values, revision, temporary, onProgress);
    } finally {
      await tables.env.close();
    }
    install(join(temporary, 'data.mdb'), folder);
  } catch (error) {
    if (standing) releaseOwn(standing);
    throw error;
  } finally {
    await standing?.env.close();
    rmSync(temporary, { recursive: true, force: true });
  }
  await releaseInstalled(folder);
}

async function fill(
  tables: Tables,
  values: AsyncIterable<StoredValue>,
  revision: number,
  folder: string,
  onProgress: (keys: number) => void,
): Promise<void> {
  const counters = { revision, compacted: revision, compactedShort: revision };
  let batch = new Map<string, StoredValue>();
  let keys = 0;
  const flush = async (): Promise<void> => {
    await writeTables(tables, { values: batch, history: [], forget: [], counters }, folder);
    keys += batch.size;
    onProgress(keys);
    batch = new Map();
  };
  for await (const value of values) {
    batch.set(value.key, value);
    if (batch.size >= batchKeys) await flush();
  }
  await flush();
}

export interface Compaction {
  readonly revision: number;
  readonly compactedRevision: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/**
 * Drops the history up to `toRevision` (all of it when undefined), and writes the file anew without the room that is free in it.
 * @throws StoreError `invalid` without a store or for a revision not reached yet, `locked` when a server runs on it.
 */
export async function compactEmbedded(folder: string, toRevision: number | undefined): Promise<Compaction> {
  assertStoreIn(folder);
  const file = join(folder, 'data.mdb');
  const bytesBefore = statSync(file).size;
  const copy = join(folder, `.compact-${process.pid}`);
  const tables = openTables(folder);
  let result: Pick<Compaction, 'revision' | 'compactedRevision'>;
  try {
    claimFolder(tables, folder);
    migrateHistory(tables);
    result = await dropHistory(tables, toRevision, folder);
    rmSync(copy, { recursive: true, force: true });
    mkdirSync(copy, { mode: 0o700 });
    await tables.env.backup(copy, true);
    install(join(copy, 'data.mdb'), folder);
  } catch (error) {
    releaseOwn(tables);
    throw error;
  } finally {
    await tables.env.close();
    rmSync(copy, { recursive: true, force: true });
  }
  await releaseInstalled(folder);
  return { ...result, bytesBefore, bytesAfter: statSync(file).size };
}

async function dropHistory(tables: Tables, toRevision: number | undefined, folder: string) {
  const { revision, compacted, compactedShort } = readCounters(tables);
  if (toRevision !== undefined && toRevision > revision) {
    throw new StoreError('invalid', `the store is at revision ${revision}; it cannot be compacted to ${toRevision}`);
  }
  const to = Math.max(toRevision ?? revision, compacted);
  const forget = [...tables.history.getKeys({ end: to + 1 })];
  const counters = { revision, compacted: to, compactedShort: Math.max(to, compactedShort) };
  await writeTables(tables, { values: new Map(), history: [], forget, counters }, folder);
  return { revision, compactedRevision: to };
}

/** Gives up the claim on a store that stays as it was, unless it is another process's. */
function releaseOwn(tables: Tables): void {
  if (folderOwner(tables) === process.pid) releaseFolder(tables);
}

/** A store is put in place with the claim of this process in it, so that no server starts on the one that goes. */
async function releaseInstalled(folder: string): Promise<void> {
  const tables = openTables(folder);
  releaseFolder(tables);
  await tables.env.close();
}

/** Puts a complete store in the place of the one in the folder. */
function install(complete: string, folder: string): void {
  // The lock file belongs to the file that goes: who opens the new one makes it anew.
  if (existsSync(join(folder, 'lock.mdb'))) rmSync(join(folder, 'lock.mdb'));
  renameSync(complete, join(folder, 'data.mdb'));
  syncFolder(folder);
}
