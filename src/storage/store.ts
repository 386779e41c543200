/** One stored value. */
export interface StoredValue {
  readonly key: string;
  readonly value: string;
  /** Store revision of its creation. */
  readonly createRevision: number;
  /** Store revision of its last change. */
  readonly modRevision: number;
}

export interface StoreEvent {
  readonly type: 'put' | 'delete';
  readonly key: string;
  /** The new value, or on delete the last one. */
  readonly value: string;
  /** The value before; undefined on creation. */
  readonly previous?: StoredValue;
  /** Revision of this change; strictly increasing. One change is one revision. */
  readonly revision: number;
}

/** What a transaction demands of a key: `modRevision` 0 means that it does not exist. */
export interface StoreCondition {
  readonly key: string;
  readonly modRevision: number;
}

export type StoreWrite = { readonly put: { readonly key: string; readonly value: string } } | { readonly delete: { readonly key: string } };

export interface StoreTransaction {
  readonly conditions: readonly StoreCondition[];
  /** Applied in order, all or none; at least one. */
  readonly writes: readonly StoreWrite[];
}

/** `ok` false: a condition did not hold, nothing was written, `current` is what stands at the first key that failed. */
export type StoreOutcome =
  | { readonly ok: true; readonly revision: number }
  | { readonly ok: false; readonly current: StoredValue | undefined };

/** The revision asked for is no longer in the history. */
export class CompactedError extends Error {
  readonly compactedRevision: number;
  constructor(compactedRevision: number) {
    super(`the requested revision has been compacted (oldest kept is ${compactedRevision + 1})`);
    this.name = 'CompactedError';
    this.compactedRevision = compactedRevision;
  }
}

export type StoreErrorReason = 'closed' | 'invalid' | 'locked' | 'unwritable';

/** The store refused or failed. `reason` is stable. */
export class StoreError extends Error {
  readonly reason: StoreErrorReason;
  constructor(reason: StoreErrorReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StoreError';
    this.reason = reason;
  }
}

export interface StoreStats {
  /** Bytes on disk (or in memory for the fake). */
  readonly bytes: number;
  /** Bytes of it that hold data. */
  readonly bytesInUse: number;
  /** Number of keys. */
  readonly keys: number;
}

/**
 * The ordered, revisioned key-value store behind the API server. Keys are `/registry/<resource>/<namespace>/<name>` and values JSON.
 * A write is acknowledged only once it would survive kill -9 and power loss.
 */
export interface Store {
  /** Revision of the last acknowledged write; its event has been delivered. 0 when nothing was ever written. */
  revision(): number;
  /** Changes up to and with this revision are no longer in the history; 0 when all are. */
  compactedRevision(): number;
  stats(): StoreStats;
  get(key: string): Promise<StoredValue | undefined>;
  /** All values whose key starts with the prefix, in key order, as of one revision. */
  list(prefix: string): Promise<{ readonly revision: number; readonly values: readonly StoredValue[] }>;
  /**
   * Resolves after the change is durable and every watcher has been told of it.
   * @throws StoreError for a transaction no backend takes (no writes, key or value too long), and when the store is closed or cannot write.
   */
  commit(transaction: StoreTransaction): Promise<StoreOutcome>;
  /**
   * Delivers every change of keys under the prefix after `fromRevision`, in order, gap-free, then live ones, until stopped.
   * A listener must not throw: that would leave its cache stale, so it ends the process.
   * @throws CompactedError when the history no longer reaches back that far.
   */
  watch(prefix: string, fromRevision: number, listener: (event: StoreEvent) => void): Promise<{ stop(): void }>;
  close(): Promise<void>;
}
