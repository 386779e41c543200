import { type Clock, sleep } from '../../runtime/clock.ts';
import { createHistoryLedger, defaultHistory, type HistoryLimits } from '../history-limits.ts';
import { CompactedError, type Store, StoreError, type StoredValue, type StoreEvent, type StoreOutcome } from '../store.ts';
import { createSubscribers } from '../subscribers.ts';
import { startCompactor } from './compactor.ts';
import { connectEtcd, type EtcdConnection } from './connection.ts';
import { createKeySpace, compactionKey, fenceKey, type KeySpace } from './keys.ts';
import { createLeasePool, type Expiry } from './leases.ts';
import type { EtcdOptions } from './options.ts';
import { createProgress } from './progress.ts';
import { compactedBetween, readPages } from './reads.ts';
import { methods } from './rpc.ts';
import { startProbe } from './probe.ts';
import { followKeys } from './watch-stream.ts';
import { createWriter } from './writes.ts';

export interface EtcdStoreOptions extends EtcdOptions {
  readonly clock: Clock;
  readonly random: () => number;
  /** How far back watches can start, if etcd's own compaction lets them. */
  readonly history?: Partial<HistoryLimits>;
  /** Values that etcd is to delete by itself. */
  readonly expiries?: readonly Expiry[];
  /** Told of failures that nobody waits for: of a compaction, of the probe. */
  readonly onProblem?: (error: unknown) => void;
}

const registry = '/registry/';

/**
 * Opens the store in etcd 3.4 or later. One watch on all keys feeds everything that is watched here; a write is answered when that watch has
 * delivered it, so whoever reads what the watchers built up reads their own writes.
 * @throws StoreError `unavailable` when no member answers in time, `invalid` for options that cannot be.
 */
export async function openEtcdStore(options: EtcdStoreOptions): Promise<Store> {
  const keys = createKeySpace(options.prefix);
  const connection = connectEtcd(options, options.clock, options.random);
  try {
    const { key, range_end } = keys.range(registry);
    const limits = { ...defaultHistory, ...options.history };
    const { header } = await connection.call(methods().range, { key, range_end, count_only: true }, { repeatable: true });
    const oldest = await compactedBetween(connection, keys, header.revision - limits.revisions, header.revision);
    return await createStore(options, connection, keys, limits, oldest, header.revision);
  } catch (error) {
    connection.close();
    throw error;
  }
}

async function createStore(
  options: EtcdStoreOptions,
  connection: EtcdConnection,
  keys: KeySpace,
  limits: HistoryLimits,
  oldest: number,
  start: number,
): Promise<Store> {
  const { clock, random, onProblem = () => {} } = options;
  const ledger = createHistoryLedger(limits, { long: oldest, short: oldest });
  const subscribers = createSubscribers();
  let closed: StoreError | undefined;

  const writer = createWriter(connection, keys, createLeasePool(connection, options.expiries ?? [], clock, random));
  const progress = createProgress({
    start,
    clock,
    timeout: options.requestTimeout,
    readRevision: async () => {
      const { header } = await connection.call(methods().range, { key: keys.encode(fenceKey), keys_only: true }, { repeatable: true });
      return header.revision;
    },
    fence: () => writer.fence(fenceKey),
  });
  const follow = (after: number) =>
    followKeys(
      { connection, keys, prefix: registry, after, clock, random },
      {
        events(events) {
          for (const [revision, changes] of byRevision(events)) {
            ledger.add(revision, changes);
            for (const { key, value } of changes) if (key === compactionKey) ledger.forgetUpTo(compactionIn(value));
          }
          ledger.forget();
          progress.advance(events.at(-1)!.revision, () => subscribers.publish(events));
        },
        progress: (revision) => progress.advance(revision, () => subscribers.progress(revision)),
        ended: (error) => void restart(error),
      },
    );
  let stream = follow(start);

  /** @throws StoreError `unavailable` */
  async function connectedInTime(): Promise<void> {
    const late = new AbortController();
    const timeout = sleep(clock, options.requestTimeout, late.signal).then(() => 'late' as const);
    const first = await Promise.race([stream.connected, timeout]);
    late.abort();
    if (first !== 'late') return;
    stream.stop();
    throw new StoreError('unavailable', stream.problem() ?? 'etcd does not answer to a watch');
  }

  /** What lies between is lost: who watches is told, and a new watch begins at what is now. Other reasons than a compaction are for good. */
  async function restart(error: CompactedError | StoreError): Promise<void> {
    try {
      if (!(error instanceof CompactedError)) throw error;
      onProblem(error);
      const now = await progress.read();
      ledger.forgetUpTo(now);
      stream = follow(now);
      progress.advance(now, () => subscribers.end(error));
    } catch (failure) {
      if (failure instanceof StoreError && failure.reason === 'unavailable' && closed === undefined && error instanceof CompactedError)
        return restart(error);
      closed ??= failure as StoreError;
      progress.fail(closed);
    }
  }
  await connectedInTime();
  const probe = startProbe(connection, keys, clock, onProblem);
  const compactor =
    options.compactionInterval > 0 ? startCompactor(connection, keys, options.compactionInterval, clock, onProblem) : undefined;

  const assertOpen = (): void => {
    if (closed) throw closed;
  };

  /** Changes after `from` up to some revision that the main stream has passed, read again from etcd's history. */
  async function readHistory(prefix: string, from: number, upTo: number): Promise<StoreEvent[]> {
    const found: StoreEvent[] = [];
    await new Promise<void>((resolve, reject) => {
      const stop = clock.setTimer(options.requestTimeout, () =>
        finish(new StoreError('unavailable', 'etcd does not deliver its history in time')),
      );
      const finish = (error?: Error): void => {
        stop();
        replay.stop();
        if (error) reject(error);
        else resolve();
      };
      const reached = (revision: number): void => void (revision >= upTo && finish());
      const replay = followKeys(
        { connection, keys, prefix: registry, after: from, clock, random },
        {
          events(events) {
            for (const event of events) if (event.revision <= upTo && event.key.startsWith(prefix)) found.push(event);
            reached(events.at(-1)!.revision);
          },
          progress: reached,
          ended: finish,
        },
      );
    });
    return found;
  }

  return {
    shared: true,
    revision: () => progress.revision,
    async consistentRevision() {
      assertOpen();
      return progress.consistent();
    },
    compactedRevision: (prefix) => ledger.compacted(prefix),
    stats: () => probe.stats(),
    problem: () => closed?.message ?? probe.problem() ?? stream.problem(),
    async get(key) {
      assertOpen();
      const { kvs } = await connection.call(methods().range, { key: keys.encode(key) }, { repeatable: true });
      return kvs[0] && keys.toStored(kvs[0]);
    },
    async list(prefix) {
      assertOpen();
      const values: StoredValue[] = [];
      let revision = 0;
      for await (const page of readPages(connection, keys, prefix)) {
        revision = page.revision;
        for (const value of page.values) values.push(value);
      }
      await progress.reached(revision);
      return { revision, values };
    },
    async commit(transaction): Promise<StoreOutcome> {
      assertOpen();
      const { outcome, revision } = await writer.commit(transaction);
      try {
        await progress.reached(revision);
      } catch (error) {
        // A write that stands is not told to have failed because its event is late.
        if (!outcome.ok) throw error;
      }
      return outcome;
    },
    async watch(prefix, fromRevision, listener, signals) {
      assertOpen();
      if (fromRevision < ledger.compacted()) throw new CompactedError(ledger.compacted());
      if (fromRevision >= progress.revision) return subscribers.add(prefix, fromRevision, listener, signals);
      // Live events wait until those of the past are delivered; a fence tells where the past ends.
      const waiting: StoreEvent[] = [];
      let live = (event: StoreEvent): void => void waiting.push(event);
      const subscription = subscribers.add(prefix, progress.revision, (event) => live(event), signals);
      const upTo = progress.revision;
      try {
        const fence = await progress.fenced();
        const past = await readHistory(prefix, fromRevision, fence);
        for (const event of past) if (event.revision <= upTo) listener(event);
        for (const event of waiting) listener(event);
        live = listener;
      } catch (error) {
        subscription.stop();
        throw error;
      }
      return subscription;
    },
    async close() {
      if (closed?.reason === 'closed') return;
      closed = new StoreError('closed', 'the store is closed');
      compactor?.stop();
      probe.stop();
      stream.stop();
      progress.fail(closed);
      subscribers.clear();
      connection.close();
    },
  };
}

function byRevision(events: readonly StoreEvent[]): Map<number, StoreEvent[]> {
  const groups = new Map<number, StoreEvent[]>();
  for (const event of events) {
    const group = groups.get(event.revision);
    if (group) group.push(event);
    else groups.set(event.revision, [event]);
  }
  return groups;
}

/** What the common key says; 0 when a person has written something else there. */
function compactionIn(value: string): number {
  try {
    const { compactedRevision } = JSON.parse(value) as { compactedRevision?: unknown };
    return Number.isSafeInteger(compactedRevision) ? (compactedRevision as number) : 0;
  } catch {
    return 0;
  }
}
