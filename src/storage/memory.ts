import { createHistoryLedger, defaultHistory, type HistoryLimits } from './history-limits.ts';
import { CompactedError, type Store, StoreError, type StoredValue, type StoreEvent } from './store.ts';
import { createSubscribers } from './subscribers.ts';
import { checkTransaction, evaluateTransaction, valueAfter } from './transaction.ts';

export interface MemoryStoreOptions {
  /** How many revisions the history keeps at least. Default 10,000. */
  readonly historyRevisions?: number;
  readonly history?: Partial<HistoryLimits>;
}

/** A store without a disk, for tests: behaves as the embedded one in everything but durability. */
export function createMemoryStore({ historyRevisions = defaultHistory.revisions, history: limits }: MemoryStoreOptions = {}): Store {
  const values = new Map<string, StoredValue>();
  const subscribers = createSubscribers();
  const history = new Map<number, readonly StoreEvent[]>();
  const ledger = createHistoryLedger({ ...defaultHistory, revisions: historyRevisions, ...limits }, { long: 0, short: 0 });
  let revision = 0;
  let closed = false;
  const assertOpen = (): void => {
    if (closed) throw new StoreError('closed', 'the store is closed');
  };
  return {
    shared: false,
    revision: () => revision,
    async consistentRevision() {
      assertOpen();
      return revision;
    },
    compactedRevision: (prefix) => ledger.compacted(prefix),
    stats() {
      const bytes = [...values.values()].reduce((sum, { value }) => sum + value.length, 0);
      return { bytes, bytesInUse: bytes, keys: values.size };
    },
    problem: () => (closed ? 'the store is closed' : undefined),
    async get(key) {
      assertOpen();
      return values.get(key);
    },
    async list(prefix) {
      assertOpen();
      const found = [...values.values()].filter(({ key }) => key.startsWith(prefix));
      return { revision, values: found.sort((a, b) => (a.key < b.key ? -1 : 1)) };
    },
    async commit(transaction) {
      assertOpen();
      checkTransaction(transaction);
      await Promise.resolve();
      assertOpen();
      const { outcome, events } = evaluateTransaction(transaction, revision, (key) => values.get(key));
      if (events.length === 0) return outcome;
      for (const event of events) {
        const value = valueAfter(event);
        if (value) values.set(event.key, value);
        else values.delete(event.key);
        revision = event.revision;
      }
      history.set(revision, events);
      ledger.add(revision, events);
      for (const old of ledger.forget()) history.delete(old);
      subscribers.publish(events);
      return outcome;
    },
    async watch(prefix, fromRevision, listener) {
      assertOpen();
      if (fromRevision < ledger.compacted()) throw new CompactedError(ledger.compacted());
      const subscription = subscribers.add(prefix, Math.max(fromRevision, revision), listener);
      for (const [at, events] of history) {
        if (at > fromRevision) for (const event of events) if (event.key.startsWith(prefix)) listener(event);
      }
      return subscription;
    },
    async close() {
      closed = true;
      subscribers.clear();
    },
  };
}
