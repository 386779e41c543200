import { resources } from '../objects/index.ts';
import { kindOf } from './bootstrap.ts';
import { type CachedObject, storePrefix } from './cached-object.ts';
import type { Registry } from './registry/registry.ts';

/**
 * Deletes events that were last seen longer than the time to live ago. The times are in the events, so a restart changes nothing. Returns how
 * many went.
 */
export async function expireEvents({ cache, store, clock }: Registry, ttlSeconds: number): Promise<number> {
  const events = cache.of(kindOf(resources.events)).list(storePrefix(resources.events));
  const oldest = clock.now() - ttlSeconds * 1_000;
  const old = events.filter((event) => lastSeen(event) < oldest);
  const outcomes = await Promise.all(
    old.map(({ key, revision }) => store.commit({ conditions: [{ key, modRevision: revision }], writes: [{ delete: { key } }] })),
  );
  return outcomes.filter(({ ok }) => ok).length;
}

function lastSeen(event: CachedObject): number {
  const object = event.parse();
  const { metadata, series, lastTimestamp, eventTime } = object as typeof object & Record<'series' | 'lastTimestamp' | 'eventTime', any>;
  const times = [metadata.creationTimestamp, series?.lastObservedTime, lastTimestamp, eventTime].map((time) => Date.parse(time ?? ''));
  return Math.max(...times.filter(Number.isFinite));
}
