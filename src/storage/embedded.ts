import { chmodSync, mkdirSync } from 'node:fs';
import { open, type Database, type RootDatabase } from 'lmdb';
import { isAlive, thisProcess, type FolderOwner } from './folder-owner.ts';
import {
  CompactedError,
  type Store,
  StoreError,
  type StoredValue,
  type StoreEvent,
  type StoreOutcome,
  type StoreTransaction,
} from './store.ts';
import { createSubscribers } from './subscribers.ts';
import { checkTransaction, evaluateTransaction, valueAfter } from './transaction.ts';

export interface EmbeddedStoreOptions {
  /** Made with mode 0700 when missing. */
  readonly folder: string;
  /** How many revisions the history keeps at least. Default 10,000. */
  readonly historyRevisions?: number;
}

// Records are arrays, which lmdb packs with msgpack.
type ValueRecord = [value: string, createRevision: number, modRevision: number];
type EventRecord = [type: 0 | 1, key: string, value: string, previous: ValueRecord | 0];
type MetaValue = number | FolderOwner;

interface Tables {
  readonly env: RootDatabase;
  readonly values: Database<ValueRecord, string>;
  readonly history: Database<EventRecord, number>;
  /** `revision`, `compacted` and `owner`. */
  readonly meta: Database<MetaValue, string>;
}

interface Pending {
  readonly transaction: StoreTransaction;
  readonly resolve: (outcome: StoreOutcome) => void;
  readonly reject: (error: unknown) => void;
}

/** As many transactions as are put into one commit; keeps one turn of the event loop short. */
const MAX_BATCH = 256;

/**
 * Opens the store in a folder of its own; one process at a time may have it open.
 * Writes are committed in groups: all that arrive while the disk is busy share the next fdatasync.
 * @throws StoreError `locked` when another process has it open, `unwritable` when the folder cannot be made or opened.
 */
export async function openEmbeddedStore({ folder, historyRevisions = 10_000 }: EmbeddedStoreOptions): Promise<Store> {
  const tables = openTables(folder);
  try {
    claim(tables, folder);
  } catch (error) {
    await tables.env.close();
    throw error;
  }
  return createStore(tables, historyRevisions);
}

function openTables(folder: string): Tables {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    chmodSync(folder, 0o700);
    // Without overlappingSync a write's promise resolves only after its fdatasync, so whatever a reader can see is durable.
    const env = open({ path: folder, overlappingSync: false, maxDbs: 8 });
    return { env, values: env.openDB({ name: 'values' }), history: env.openDB({ name: 'history' }), meta: env.openDB({ name: 'meta' }) };
  } catch (error) {
    throw new StoreError('unwritable', `cannot open the store in ${folder}: ${(error as Error).message}`, { cause: error });
  }
}

/** lmdb's own write lock, which the kernel frees when its holder dies, makes the claim free of races. */
function claim({ env, meta }: Tables, folder: string): void {
  const owner = env.transactionSync(() => {
    const standing = meta.get('owner') as FolderOwner | undefined;
    if (standing && isAlive(standing)) return standing;
    meta.putSync('owner', thisProcess());
    return undefined;
  });
  if (owner)
    throw new StoreError('locked', `the store in ${folder} is in use by process ${owner.pid}; stop it first, or use another folder`);
}

function createStore({ env, values, history, meta }: Tables, historyRevisions: number): Store {
  const subscribers = createSubscribers();
  const queue: Pending[] = [];
  let revision = (meta.get('revision') as number | undefined) ?? 0;
  let compacted = (meta.get('compacted') as number | undefined) ?? 0;
  let keys = values.getKeysCount();
  let closed = false;
  let flushing: Promise<void> | undefined;

  const assertOpen = (): void => {
    if (closed) throw new StoreError('closed', 'the store is closed');
  };
  const read = (key: string): StoredValue | undefined => {
    const record = values.get(key);
    return record && toStored(key, record);
  };

  /** Writes one batch in one lmdb transaction; nothing else writes meanwhile, so the conditions still hold when it commits. */
  async function commitBatch(batch: readonly Pending[]): Promise<void> {
    const overlay = new Map<string, StoredValue | undefined>();
    const view = (key: string): StoredValue | undefined => (overlay.has(key) ? overlay.get(key) : read(key));
    const events: StoreEvent[] = [];
    let next = revision;
    let count = keys;
    const outcomes = batch.map(({ transaction }) => {
      const evaluation = evaluateTransaction(transaction, next, view);
      for (const event of evaluation.events) {
        overlay.set(event.key, valueAfter(event));
        if (event.type === 'delete') count--;
        else if (!event.previous) count++;
        events.push(event);
        next = event.revision;
      }
      return evaluation.outcome;
    });
    if (events.length > 0) {
      const compactTo = next - compacted >= historyRevisions * 1.1 ? next - historyRevisions : compacted;
      await write(events, overlay, next, compactTo);
      revision = next;
      compacted = compactTo;
      keys = count;
      subscribers.publish(events);
    }
    batch.forEach(({ resolve }, index) => resolve(outcomes[index]!));
  }

  async function write(
    events: readonly StoreEvent[],
    overlay: ReadonlyMap<string, StoredValue | undefined>,
    next: number,
    compactTo: number,
  ): Promise<void> {
    const writes: Promise<unknown>[] = [];
    // All operations issued inside batch() go into one lmdb transaction.
    writes.push(
      env.batch(() => {
        for (const [key, value] of overlay) writes.push(value ? values.put(key, toRecord(value)) : values.remove(key));
        for (const event of events) writes.push(history.put(event.revision, toEventRecord(event)));
        for (let old = compacted + 1; old <= compactTo; old++) writes.push(history.remove(old));
        if (compactTo !== compacted) writes.push(meta.put('compacted', compactTo));
        writes.push(meta.put('revision', next));
      }),
    );
    await Promise.all(writes);
  }

  async function flush(): Promise<void> {
    while (queue.length > 0) {
      const batch = queue.splice(0, MAX_BATCH);
      try {
        await commitBatch(batch);
      } catch (error) {
        const failure = new StoreError('unwritable', `the store cannot write: ${(error as Error).message}`, { cause: error });
        for (const { reject } of batch) reject(failure);
      }
    }
    flushing = undefined;
  }

  return {
    revision: () => revision,
    compactedRevision: () => compacted,
    stats() {
      const { pageSize, lastPageNumber } = env.getStats() as LmdbStats;
      return { bytes: (lastPageNumber + 1) * pageSize, bytesInUse: bytesOf(values) + bytesOf(history) + bytesOf(meta), keys };
    },
    async get(key) {
      assertOpen();
      return read(key);
    },
    async list(prefix) {
      assertOpen();
      const snapshot = env.useReadTransaction();
      try {
        const found: StoredValue[] = [];
        for (const { key, value } of values.getRange({ start: prefix, transaction: snapshot })) {
          if (!key.startsWith(prefix)) break;
          found.push(toStored(key, value));
        }
        return { revision: (meta.get('revision', { transaction: snapshot }) as number | undefined) ?? 0, values: found };
      } finally {
        snapshot.done();
      }
    },
    commit(transaction) {
      return new Promise((resolve, reject) => {
        assertOpen();
        checkTransaction(transaction);
        queue.push({ transaction, resolve, reject });
        // The turn's other writes join this batch.
        flushing ??= new Promise<void>((started) => setImmediate(started)).then(flush);
      });
    },
    async watch(prefix, fromRevision, listener) {
      assertOpen();
      if (fromRevision < compacted) throw new CompactedError(compacted);
      // No await between reading the history and subscribing: a change is in the one or comes by the other.
      const acknowledged = revision;
      for (const { key, value } of history.getRange({ start: fromRevision + 1, end: acknowledged + 1 })) {
        if (value[1].startsWith(prefix)) listener(toEvent(key, value));
      }
      return subscribers.add(prefix, Math.max(fromRevision, acknowledged), listener);
    },
    async close() {
      if (closed) return;
      closed = true;
      await flushing;
      subscribers.clear();
      env.transactionSync(() => meta.removeSync('owner'));
      await env.close();
    },
  };
}

/** What lmdb tells of a database, as far as we read it (mdb_stat, mdb_env_info). */
interface LmdbStats {
  readonly pageSize: number;
  readonly lastPageNumber: number;
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

function bytesOf(table: { getStats(): object }): number {
  const { pageSize, treeBranchPageCount, treeLeafPageCount, overflowPages } = table.getStats() as LmdbStats;
  return pageSize * (treeBranchPageCount + treeLeafPageCount + overflowPages);
}

const toStored = (key: string, [value, createRevision, modRevision]: ValueRecord): StoredValue => ({
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

function toEvent(revision: number, [type, key, value, previous]: EventRecord): StoreEvent {
  const before = previous === 0 ? undefined : toStored(key, previous);
  return {
    type: type === 1 ? 'put' : 'delete',
    key,
    value: type === 1 ? value : (before?.value ?? ''),
    ...(before ? { previous: before } : {}),
    revision,
  };
}
