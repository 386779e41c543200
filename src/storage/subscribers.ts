import type { StoreEvent } from './store.ts';

/** The live watchers of a store. */
export interface Subscribers {
  /** Events up to `after` have been delivered already and are not repeated. */
  add(prefix: string, after: number, listener: (event: StoreEvent) => void): { stop(): void };
  /** Delivers in order. */
  publish(events: readonly StoreEvent[]): void;
  clear(): void;
}

export function createSubscribers(): Subscribers {
  const active = new Set<{ prefix: string; after: number; listener: (event: StoreEvent) => void }>();
  return {
    add(prefix, after, listener) {
      const subscriber = { prefix, after, listener };
      active.add(subscriber);
      return { stop: () => void active.delete(subscriber) };
    },
    publish(events) {
      for (const event of events) {
        for (const subscriber of active) {
          if (event.revision <= subscriber.after || !event.key.startsWith(subscriber.prefix)) continue;
          try {
            subscriber.listener(event);
          } catch (error) {
            // The write stands and others wait for it; the broken listener must not go on with a hole in its cache.
            active.delete(subscriber);
            queueMicrotask(() => {
              throw error;
            });
          }
        }
      }
    },
    clear: () => active.clear(),
  };
}
