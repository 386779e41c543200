import type { CompactedError, StoreError, StoreEvent, StoreWatchSignals } from './store.ts';

/** The live watchers of a store. */
export interface Subscribers {
  /** Events up to `after` have been delivered already and are not repeated. */
  add(prefix: string, after: number, listener: (event: StoreEvent) => void, signals?: StoreWatchSignals): { stop(): void };
  /** Delivers in order. */
  publish(events: readonly StoreEvent[]): void;
  /** Everything up to the revision has been published. */
  progress(revision: number): void;
  /** Nothing more will be published. */
  end(error: CompactedError | StoreError): void;
  clear(): void;
}

interface Subscriber {
  readonly prefix: string;
  readonly after: number;
  readonly listener: (event: StoreEvent) => void;
  readonly signals: StoreWatchSignals;
}

export function createSubscribers(): Subscribers {
  const active = new Set<Subscriber>();
  const call = (subscriber: Subscriber, tell: () => void): void => {
    try {
      tell();
    } catch (error) {
      // The write stands and others wait for it; the broken listener must not go on with a hole in its cache.
      active.delete(subscriber);
      queueMicrotask(() => {
        throw error;
      });
    }
  };
  return {
    add(prefix, after, listener, signals = {}) {
      const subscriber = { prefix, after, listener, signals };
      active.add(subscriber);
      return { stop: () => void active.delete(subscriber) };
    },
    publish(events) {
      for (const event of events) {
        for (const subscriber of active) {
          if (event.revision <= subscriber.after || !event.key.startsWith(subscriber.prefix)) continue;
          call(subscriber, () => subscriber.listener(event));
        }
      }
    },
    progress(revision) {
      for (const subscriber of active) call(subscriber, () => subscriber.signals.progress?.(revision));
    },
    end(error) {
      for (const subscriber of [...active]) {
        active.delete(subscriber);
        call(subscriber, () => subscriber.signals.lost?.(error));
      }
    },
    clear: () => active.clear(),
  };
}
