import { CompactedError, type Store, StoreError, type StoredValue, type StoreEvent } from './store.ts';
import { createSubscribers } from './subscribers.ts';
import { checkTransaction, evaluateTransaction, valueAfter } from './transaction.ts';

export interface MemoryStoreOptions {
  /** How many revisions the history keeps at least. Default 10,000. */
  readonly historyRevisions?: number;
}

/** A store without a disk, for tests: behaves as the embedded one in everything but durability. */
export function createMemoryStore({ historyRevisions = 10_000 }: MemoryStoreOptions = {}): Store {
  const values = new Map<string, StoredValue>();
  const subscribers = createSubscribers();
  let history: StoreEvent[] = [];
  let revision = 0;
  let compacted = 0;
  let closed = false;
  const assertOpen = (): void => {
    if (closed) throw new StoreError('closed', 'the store is closed');
  };
  const compact = (): void => {
    // Compacting in steps of a tenth keeps it cheap, as the embedded store does.
    if (revision - compacted < historyRevisions * 1.1) return;
    compacted = revision - historyRevisions;
    history = history.filter((event) => event.revision > compacted);
  };
  return {
    revision: () => revision,
    compactedRevision: () => compacted,
    stats() {
      const bytes = [...values.values()].reduce((sum, { value }) => sum + value.length, 0);
      return { bytes, bytesInUse: bytes, keys: values.size };
    },
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
      for (const event of events) {
        const value = valueAfter(event);
        if (value) values.set(event.key, value);
        else values.delete(event.key);
        revision = event.revision;
        history.push(event);
      }
      compact();
      subscribers.publish(events);
      return outcome;
    },
    async watch(prefix, fromRevision, listener) {
      assertOpen();
      if (fromRevision < compacted) throw new CompactedError(compacted);
      const subscription = subscribers.add(prefix, Math.max(fromRevision, revision), listener);
      for (const event of history) if (event.revision > fromRevision && event.key.startsWith(prefix)) listener(event);
      return subscription;
    },
    async close() {
      closed = true;
      subscribers.clear();
    },
  };
}
