import type { KubeObject } from '../objects/client.ts';

export interface EventNote {
  /** What the event is about. Only its apiVersion, kind and metadata are read. */
  readonly regarding: KubeObject;
  readonly type: 'Normal' | 'Warning';
  /** CamelCase, as `Scheduled`. */
  readonly reason: string;
  readonly message: string;
}

/** What to write for one note. */
export interface CorrelatedEvent {
  readonly count: number;
  readonly message: string;
  /** The Event to raise the count of; undefined when a new one is to be made. */
  readonly known?: EventName;
  /** To be called with the Event that was made. */
  remember(name: EventName): void;
}

interface EventName {
  readonly name: string;
  readonly namespace: string;
}

export interface EventCorrelator {
  /** Undefined: drop it, the object is making too many. `now` is milliseconds since the epoch. */
  correlate(note: EventNote, now: number): CorrelatedEvent | undefined;
}

interface Seen {
  count: number;
  at: number;
  event?: EventName;
}

// The constants of client-go's EventCorrelator (tools/record/events_cache.go).
const rememberedEvents = 4_096;
const similarBeforeCombining = 10;
const similarWithin = 600_000;
const burst = 25;
const refillPerMillisecond = 1 / 300_000;

/**
 * Decides, in memory, how a note becomes an Event: the same note again raises a count; the eleventh that differs only in its message is
 * combined with the following ones; one object may burst 25 and then one in five minutes.
 */
export function createEventCorrelator(): EventCorrelator {
  const identical = new Map<string, Seen>();
  const similar = new Map<string, { messages: Set<string>; at: number }>();
  const buckets = new Map<string, { tokens: number; at: number }>();

  function combine(group: string, message: string, now: number): boolean {
    let seen = similar.get(group);
    if (!seen || now - seen.at > similarWithin) seen = { messages: new Set(), at: now };
    seen.at = now;
    if (seen.messages.size < similarBeforeCombining) seen.messages.add(message);
    touch(similar, group, seen);
    return seen.messages.size >= similarBeforeCombining && !seen.messages.has(message);
  }

  function allowed(source: string, now: number): boolean {
    const { tokens, at } = buckets.get(source) ?? { tokens: burst, at: now };
    const filled = Math.min(burst, tokens + (now - at) * refillPerMillisecond);
    touch(buckets, source, { tokens: filled >= 1 ? filled - 1 : filled, at: now });
    return filled >= 1;
  }

  return {
    correlate({ regarding, type, reason, message }, now) {
      const { namespace = '', name, uid = '' } = regarding.metadata;
      const object = [regarding.kind, namespace, name, uid].join('|');
      const group = [object, type, reason].join('|');
      if (!allowed(object, now)) return undefined;
      const combined = combine(group, message, now);
      const key = combined ? group : `${group}|${message}`;
      const before = identical.get(key);
      const seen: Seen = before && now - before.at <= similarWithin ? before : { count: 0, at: now };
      seen.count++;
      seen.at = now;
      touch(identical, key, seen);
      return {
        count: seen.count,
        message: combined ? `(combined from similar events): ${message}` : message,
        ...(seen.event ? { known: seen.event } : {}),
        remember(event) {
          seen.event = event;
        },
      };
    },
  };
}

/** Sets a key as the most recently used one and forgets the oldest beyond the bound. */
function touch<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > rememberedEvents) map.delete(map.keys().next().value as string);
}
