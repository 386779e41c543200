import {
  claimFolder,
  migrateHistory,
  openTables,
  readCounters,
  releaseFolder,
  type Tables,
  toEvents,
  toStored,
  writeTables,
} from './embedded-tables.ts';
import { assertStoreIn } from './snapshot.ts';
import type { StoredValue } from './store.ts';
import { valueAfter } from './transaction.ts';

/** What is wrong with the store itself, whatever its values say. `counters` and `history` can be mended. */
export interface StoreFault {
  readonly part: 'counters' | 'history' | 'values';
  readonly key: string;
  readonly problem: string;
}

export interface StoreCheck {
  readonly revision: number;
  readonly values: readonly StoredValue[];
  readonly faults: readonly StoreFault[];
}

/**
 * Reads the whole of an embedded store, as of one revision, and checks that its tables agree; a server may run meanwhile.
 * @throws StoreError `invalid` without a store, `unwritable` for a file that lmdb cannot open.
 */
export async function checkEmbedded(folder: string): Promise<StoreCheck> {
  assertStoreIn(folder);
  const tables = openTables(folder, true);
  const transaction = tables.env.useReadTransaction();
  try {
    const counters = readCounters(tables, transaction);
    const values: StoredValue[] = [];
    for (const { key, value } of tables.values.getRange({ transaction })) values.push(toStored(key, value));
    const faults = [...checkValues(values, counters.revision), ...checkCounters(counters)];
    // What a history says in which revisions cannot be right is not looked at.
    if (faults.length === 0) faults.push(...checkHistory(tables, transaction, values, counters));
    return { revision: counters.revision, values, faults };
  } finally {
    transaction.done();
    await tables.env.close();
  }
}

function checkValues(values: readonly StoredValue[], revision: number): StoreFault[] {
  const faults: StoreFault[] = [];
  let last = '';
  for (const { key, createRevision, modRevision } of values) {
    if (key <= last) faults.push({ part: 'values', key, problem: `it comes after ${last} in the index` });
    last = key;
    if (createRevision > modRevision || createRevision < 1) {
      faults.push({ part: 'values', key, problem: `it was created at revision ${createRevision} and last changed at ${modRevision}` });
    }
    if (modRevision > revision) {
      faults.push({ part: 'counters', key, problem: `it has revision ${modRevision}, and the store is only at ${revision}` });
    }
  }
  return faults;
}

function checkCounters({ revision, compacted, compactedShort }: ReturnType<typeof readCounters>): StoreFault[] {
  if (compacted <= revision && compactedShort <= revision) return [];
  const problem = `the history is compacted up to ${Math.max(compacted, compactedShort)}, and the store is only at ${revision}`;
  return [{ part: 'counters', key: '', problem }];
}

/** Each key's last change in the history must be what stands, and what changed since the compaction must be in the history. */
function checkHistory(
  tables: Tables,
  transaction: ReturnType<Tables['env']['useReadTransaction']>,
  values: readonly StoredValue[],
  { revision, compactedShort }: ReturnType<typeof readCounters>,
): StoreFault[] {
  const faults: StoreFault[] = [];
  const last = new Map<string, StoredValue | undefined>();
  for (const { key: at, value: records } of tables.history.getRange({ transaction })) {
    if (at > revision) faults.push({ part: 'history', key: '', problem: `it has revision ${at}, and the store is only at ${revision}` });
    for (const event of toEvents(at, records)) last.set(event.key, valueAfter(event));
  }
  const standing = new Map(values.map((value) => [value.key, value]));
  for (const [key, value] of last) {
    const now = standing.get(key);
    if (now?.modRevision === value?.modRevision && now?.value === value?.value) continue;
    faults.push({ part: 'history', key, problem: 'its last change in the history is not what stands' });
  }
  for (const { key, modRevision } of values) {
    if (modRevision > compactedShort && !last.has(key)) {
      faults.push({ part: 'history', key, problem: `its change at revision ${modRevision} is not in the history` });
    }
  }
  return faults;
}

/**
 * Mends revision counter and history: the counter is put above every revision in use, and the history dropped, so that watchers list anew. No
 * value is touched. Returns the revision. @throws StoreError `locked` when a server runs on the store.
 */
export async function repairEmbedded(folder: string): Promise<number> {
  const tables = openTables(folder);
  try {
    claimFolder(tables, folder);
    migrateHistory(tables);
    const { revision, compacted, compactedShort } = readCounters(tables);
    const forget = [...tables.history.getKeys()];
    let next = Math.max(revision, compacted, compactedShort, ...forget.slice(-1));
    for (const { value } of tables.values.getRange()) next = Math.max(next, value[2]);
    // One more, because watchers may have been told of the last one.
    next++;
    const counters = { revision: next, compacted: next, compactedShort: next };
    await writeTables(tables, { values: new Map(), history: [], forget, counters }, folder);
    releaseFolder(tables);
    return next;
  } finally {
    await tables.env.close();
  }
}
