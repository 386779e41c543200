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
  /** Revision of the transaction that made this change. The changes of one transaction share it, on different keys; it grows with each. */
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
  /** All or none, under one revision; at least one, at most {@link maxWrites}, and no key twice. */
  readonly writes: readonly StoreWrite[];
}

/** Most conditions or writes of one transaction: etcd's own default (--max-txn-ops). */
export const maxWrites = 128;

/**
 * `ok` true: `revision` is that of the writes, or of the last one before when they changed nothing. `ok` false: a condition did not hold,
 * nothing was written, `current` is what stands at the first key that failed.
 */
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

/**
 * `unavailable`: the store could not be reached, and nothing was written. `unknown`: a write was under way when the connection broke or time ran
 * out; it may have been made or not. `full`: no space is left; nothing was written. `foreign`: what stands there is not ours to read.
 */
export type StoreErrorReason = 'closed' | 'invalid' | 'locked' | 'unwritable' | 'full' | 'unavailable' | 'unknown' | 'foreign';

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

/** What a watcher is told besides changes. */
export interface StoreWatchSignals {
  /** Every change up to this revision has been delivered. Called when the revision grows without a change under the prefix. */
  progress?(revision: number): void;
  /**
   * The store could not go on without a gap, most often because its history was compacted while it was out of reach: nothing more comes. What the
   * watcher has built up is to be read anew.
   */
  lost?(error: CompactedError | StoreError): void;
}

/**
 * The ordered, revisioned key-value store behind the API server. Keys are `/registry/<resource>/<namespace>/<name>` and values JSON.
 * A write is acknowledged only once it would survive kill -9 and power loss.
 */
export interface Store {
  /** Other processes write to it as well: what has been delivered here may be behind what they acknowledged. */
  readonly shared: boolean;
  /** Up to this revision every change has been delivered to the watchers. 0 when nothing was ever written. */
  revision(): number;
  /**
   * A revision not before that of any write acknowledged by anyone until the call, delivered here already: what a linearizable read is to be
   * served at. Costs nothing where nobody else writes.
   * @throws StoreError `unavailable` when that cannot be found out in time.
   */
  consistentRevision(): Promise<number>;
  /**
   * Changes up to and with this revision are no longer in the history; 0 when all are. For a prefix that is kept for a shorter time than the rest
   * it is later than without one.
   */
  compactedRevision(prefix?: string): number;
  stats(): StoreStats;
  /** Why it cannot serve now, in a few words; undefined when it can. */
  problem(): string | undefined;
  get(key: string): Promise<StoredValue | undefined>;
  /** All values whose key starts with the prefix, in key order, as of one revision, which has been delivered. */
  list(prefix: string): Promise<{ readonly revision: number; readonly values: readonly StoredValue[] }>;
  /**
   * Resolves after the change is durable and every watcher here has been told of it; when a condition did not hold, after every watcher has been
   * told of the change that made it so.
   * @throws StoreError for a transaction no backend takes (no writes, key or value too long), and when the store is closed or cannot write.
   */
  commit(transaction: StoreTransaction): Promise<StoreOutcome>;
  /**
   * Delivers every change of keys under the prefix after `fromRevision`, in order, gap-free, then live ones, until stopped. The changes of one
   * transaction come in one turn. Of keys with a shorter history than the rest, changes up to its {@link compactedRevision} are left out.
   * A listener must not throw: that would leave its cache stale, so it ends the process.
   * @throws CompactedError when the history no longer reaches back that far.
   */
  watch(
    prefix: string,
    fromRevision: number,
    listener: (event: StoreEvent) => void,
    signals?: StoreWatchSignals,
  ): Promise<{ stop(): void }>;
  close(): Promise<void>;
}
