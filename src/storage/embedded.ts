import {
  claimFolder,
  createDiskPace,
  type DiskPace,
  migrateHistory,
  openTables,
  readCounters,
  releaseFolder,
  tableSizes,
  type Tables,
  toEvents,
  toStored,
  writeTables,
} from './embedded-tables.ts';
import { createHistoryLedger, defaultHistory, type HistoryLedger, type HistoryLimits } from './history-limits.ts';
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
  readonly history?: Partial<HistoryLimits>;
  /** Milliseconds from any moment on, by which commits are timed; the process's own clock when it is not given. */
  readonly now?: () => number;
}

interface Pending {
  readonly transaction: StoreTransaction;
  readonly resolve: (outcome: StoreOutcome) => void;
  readonly reject: (error: unknown) => void;
}

/** As many transactions as are put into one commit; keeps one turn of the event loop short. */
const MAX_BATCH = 256;

/**
 * Opens the store in a folder of its own; one process at a time may have it open for writing.
 * Writes are committed in groups: all that arrive while the disk is busy share the next fdatasync.
 * @throws StoreError `locked` when another process has it open, `unwritable` when the folder cannot be made or opened.
 */
export async function openEmbeddedStore(options: EmbeddedStoreOptions): Promise<Store> {
  const { folder, historyRevisions = defaultHistory.revisions } = options;
  const tables = openTables(folder);
  try {
    claimFolder(tables, folder);
    migrateHistory(tables);
  } catch (error) {
    await tables.env.close();
    throw error;
  }
  const { compacted, compactedShort } = readCounters(tables);
  const limits = { ...defaultHistory, revisions: historyRevisions, ...options.history };
  const ledger = createHistoryLedger(limits, { long: compacted, short: compactedShort });
  for (const { key, value } of tables.history.getRange()) ledger.add(key, toEvents(key, value));
  return createStore(tables, folder, ledger, createDiskPace(options.now ?? (() => performance.now())));
}

function createStore(tables: Tables, folder: string, ledger: HistoryLedger, pace: DiskPace): Store {
  const { env, values, history } = tables;
  const subscribers = createSubscribers();
  const queue: Pending[] = [];
  let { revision } = readCounters(tables);
  let keys = values.getKeysCount();
  let closed = false;
  let flushing: Promise<void> | undefined;
  let problem: string | undefined;

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
    const changes: [revision: number, events: readonly StoreEvent[]][] = [];
    let next = revision;
    let count = keys;
    const outcomes = batch.map(({ transaction }) => {
      const { outcome, events } = evaluateTransaction(transaction, next, view);
      for (const event of events) {
        overlay.set(event.key, valueAfter(event));
        if (event.type === 'delete') count--;
        else if (!event.previous) count++;
        next = event.revision;
      }
      if (events.length > 0) changes.push([next, events]);
      return outcome;
    });
    if (changes.length > 0) {
      // What goes now is of batches before: a failed write leaves the ledger as far back as the disk.
      const forget = ledger.forget();
      // A backup that was killed would keep pages from being used again.
      if (forget.length > 0) env.readerCheck();
      const { long, short } = ledger.marks;
      const counters = { revision: next, compacted: long, compactedShort: short };
      await writeTables(tables, { values: overlay, history: changes, forget: [...owed, ...forget], counters }, folder, pace).catch(
        (error: unknown) => {
          owed.push(...forget);
          throw error;
        },
      );
      owed.length = 0;
      for (const [at, events] of changes) ledger.add(at, events);
      revision = next;
      keys = count;
      subscribers.publish(changes.flatMap(([, events]) => events));
    }
    batch.forEach(({ resolve }, index) => resolve(outcomes[index]!));
  }
  /** Revisions that are forgotten but still on disk, because the write that was to remove them failed. */
  const owed: number[] = [];

  async function flush(): Promise<void> {
    while (queue.length > 0) {
      const batch = queue.splice(0, MAX_BATCH);
      try {
        await commitBatch(batch);
        problem = undefined;
      } catch (error) {
        problem = (error as Error).message;
        for (const { reject } of batch) reject(error);
      }
    }
    flushing = undefined;
  }

  return {
    shared: false,
    revision: () => revision,
    async consistentRevision() {
      assertOpen();
      return revision;
    },
    compactedRevision: (prefix) => ledger.compacted(prefix),
    stats: () => ({ ...tableSizes(tables), keys }),
    problem: () => (closed ? 'the store is closed' : problem),
    async get(key) {
      assertOpen();
      return read(key);
    },
    async list(prefix) {
      assertOpen();
      for (;;) {
        const listed = listAtOnce(tables, prefix);
        // A batch that is on disk but not delivered yet.
        if (listed.revision <= revision) return listed;
        await flushing;
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
      if (fromRevision < ledger.compacted()) throw new CompactedError(ledger.compacted());
      // No await between reading the history and subscribing: a change is in the one or comes by the other.
      const acknowledged = revision;
      for (const { key, value } of history.getRange({ start: fromRevision + 1, end: acknowledged + 1 })) {
        for (const event of toEvents(key, value)) if (event.key.startsWith(prefix)) listener(event);
      }
      return subscribers.add(prefix, Math.max(fromRevision, acknowledged), listener);
    },
    async close() {
      if (closed) return;
      closed = true;
      await flushing;
      subscribers.clear();
      releaseQuietly(tables);
      await env.close();
    },
  };
}

/** All values under the prefix in one read transaction, and the revision they are of. */
function listAtOnce(tables: Tables, prefix: string): { revision: number; values: StoredValue[] } {
  const snapshot = tables.env.useReadTransaction();
  try {
    const found: StoredValue[] = [];
    for (const { key, value } of tables.values.getRange({ start: prefix, transaction: snapshot })) {
      if (!key.startsWith(prefix)) break;
      found.push(toStored(key, value));
    }
    return { revision: readCounters(tables, snapshot).revision, values: found };
  } finally {
    snapshot.done();
  }
}

/** On a full disk the claim stays; it is nobody's once this process has ended. */
function releaseQuietly(tables: Tables): void {
  try {
    releaseFolder(tables);
  } catch {
    // The next owner looks whether the one that stands is alive.
  }
}
