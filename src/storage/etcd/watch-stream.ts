import { backoffDelay } from '../../runtime/backoff.ts';
import { type Clock, sleep } from '../../runtime/clock.ts';
import { CompactedError, StoreError, type StoreEvent } from '../store.ts';
import type { EtcdConnection } from './connection.ts';
import type { KeySpace } from './keys.ts';
import { type KeyValue, methods, type WatchResponse } from './rpc.ts';

export interface WatchedKeys {
  readonly connection: EtcdConnection;
  readonly keys: KeySpace;
  readonly prefix: string;
  /** Changes after this revision are delivered. */
  readonly after: number;
  readonly clock: Clock;
  readonly random: () => number;
}

export interface WatchHandlers {
  /** Changes in order of revision, without gap and repeat over broken connections; those of one revision in one call. */
  events(events: readonly StoreEvent[]): void;
  /** Nothing changed up to this revision but what was delivered. */
  progress(revision: number): void;
  /** It cannot go on: what comes next is compacted, or not what it should be. Nothing more comes. */
  ended(error: CompactedError | StoreError): void;
}

export interface WatchStream {
  /** Resolves when it is connected for the first time. */
  readonly connected: Promise<void>;
  /** Why it is not connected; undefined when it is. */
  problem(): string | undefined;
  stop(): void;
}

/** One end of a connection: why, and whether that was for good. */
class Ended extends Error {
  readonly reason: CompactedError | StoreError;
  constructor(reason: CompactedError | StoreError) {
    super(reason.message);
    this.reason = reason;
  }
}

/** The member knows less than was delivered: it lags behind its leader, or etcd was restored from an older state. */
class MemberBehind extends Error {}

/** Follows all keys under a prefix until stopped; reconnects by itself, to the next member, and goes on after the last revision delivered. */
export function followKeys(watched: WatchedKeys, handlers: WatchHandlers): WatchStream {
  const { connection, clock, random } = watched;
  const stopping = new AbortController();
  let delivered = watched.after;
  let problem: string | undefined = 'not connected yet';
  let failures = 0;
  const first = Promise.withResolvers<void>();

  const isOver = (): boolean => stopping.signal.aborted;

  /** Delivers what one connection brings until it ends. @throws Ended, or the connection's error. */
  async function followOnce(): Promise<void> {
    const { stream, endpoint } = await connection.watch(stopping.signal);
    try {
      await new Promise<void>((_resolve, reject) => {
        const receive = createReceiver(watched.keys, () => delivered, {
          connected() {
            failures = 0;
            problem = undefined;
            first.resolve();
          },
          events(events) {
            delivered = events.at(-1)!.revision;
            if (!isOver()) handlers.events(events);
          },
          progress(revision) {
            delivered = Math.max(delivered, revision);
            if (!isOver()) handlers.progress(revision);
          },
        });
        stream.on('data', (response: WatchResponse) => {
          try {
            receive(response);
          } catch (error) {
            reject(error instanceof StoreError ? new Ended(error) : (error as Error));
          }
        });
        stream.on('error', reject);
        stream.on('end', () => reject(new Error('the stream ended')));
        const { key, range_end } = watched.keys.range(watched.prefix);
        const create_request = { key, range_end, start_revision: delivered + 1, progress_notify: true, prev_kv: true, fragment: true };
        stream.write({ create_request });
      });
    } catch (error) {
      connection.leave(endpoint);
      if (error instanceof MemberBehind) await checkForward();
      throw error;
    } finally {
      // Nothing is read from it any more; the cancellation's own error must not end the process.
      stream.removeAllListeners();
      stream.on('error', () => {});
      stream.cancel();
    }
  }

  /** @throws Ended when etcd as a whole is behind what was delivered. */
  async function checkForward(): Promise<void> {
    const { key } = watched.keys.range(watched.prefix);
    const { header } = await connection.call(methods().range, { key, count_only: true }, { repeatable: true });
    if (header.revision >= delivered) return;
    const text = `etcd went back from revision ${delivered} to ${header.revision}: it was restored from an older state; restart this server`;
    throw new Ended(new StoreError('unavailable', text));
  }

  async function follow(): Promise<void> {
    while (!isOver()) {
      try {
        await followOnce();
      } catch (error) {
        if (isOver()) return;
        problem = `the watch on etcd is broken: ${(error as Error).message}`;
        if (error instanceof Ended) {
          handlers.ended(error.reason);
          return;
        }
        await sleep(clock, backoffDelay(++failures, { base: 20, cap: 2_000, random }), stopping.signal);
      }
    }
  }
  void follow();
  return { connected: first.promise, problem: () => problem, stop: () => stopping.abort() };
}

/** Makes events of etcd's answers on one connection. The returned function throws {@link Ended}, or an Error when the watch is to be made anew. */
function createReceiver(
  keys: KeySpace,
  delivered: () => number,
  to: { connected(): void; events(events: readonly StoreEvent[]): void; progress(revision: number): void },
): (response: WatchResponse) => void {
  let fragments: StoreEvent[] = [];
  return (response) => {
    const { header, created, canceled, compact_revision, cancel_reason, fragment, events } = response;
    if (canceled) {
      if (compact_revision > 0) throw new Ended(new CompactedError(compact_revision));
      throw new Error(cancel_reason || 'the watch was canceled');
    }
    if (created) {
      if (header.revision < delivered()) throw new MemberBehind(`the member is at revision ${header.revision}`);
      return to.connected();
    }
    if (events.length === 0 && !fragment && fragments.length === 0) return to.progress(header.revision);
    for (const event of events) {
      // A watch that starts anew begins after what was delivered; this is for a member that repeats itself.
      if (event.kv.mod_revision > delivered()) fragments.push(toEvent(keys, event));
    }
    if (fragment || fragments.length === 0) return;
    const complete = fragments;
    fragments = [];
    to.events(complete);
  };
}

/** @throws Ended when the value before is compacted, so that what the change did cannot be told. */
function toEvent(keys: KeySpace, { type, kv, prev_kv }: { type: number; kv: KeyValue; prev_kv: KeyValue | null }): StoreEvent {
  const previous = prev_kv ? keys.toStored(prev_kv) : undefined;
  const revision = kv.mod_revision;
  if (type === 1) {
    if (!previous) throw new Ended(new CompactedError(revision));
    return { type: 'delete', key: keys.decode(kv.key), value: previous.value, previous, revision };
  }
  if (!previous && kv.create_revision !== revision) throw new Ended(new CompactedError(revision));
  const { key, value } = keys.toStored(kv);
  return { type: 'put', key, value, ...(previous ? { previous } : {}), revision };
}
