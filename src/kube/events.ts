import { type Event, type KubeObject, type ObjectReference, resources, toTime } from '../objects/client.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/log.ts';
import type { KubeClient } from './client.ts';
import { isAlreadyExists, isNotFound } from './errors.ts';
import { type CorrelatedEvent, createEventCorrelator, type EventNote } from './event-correlator.ts';

export type { EventNote };

export interface EventRecorder {
  /** Returns at once; the write happens in the background, and an event that cannot be written is dropped with a log line. */
  record(note: EventNote): void;
  /** Waits until what was recorded so far is written or dropped. */
  flush(): Promise<void>;
}

export interface EventRecorderOptions {
  readonly client: Pick<KubeClient, 'create' | 'patch'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Shown by kubectl as the event's source, e.g. `replicaset-controller`. */
  readonly component: string;
  /** Node name, for components of a node. */
  readonly host?: string;
}

/** Events waiting to be written; more than this and the newest are dropped (client-go: 1000). */
const longestQueue = 1_000;

/** More components than this do not meet. */
const sameNameTries = 8;

/** Writes core/v1 Events as client-go's recorder does: an identical event within ten minutes raises `count` of the first instead of making another. */
export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  const { client, clock, log, component, host } = options;
  const correlator = createEventCorrelator();
  const queue: EventNote[] = [];
  let writing: Promise<void> | undefined;
  let lastStamp = 0n;

  /** client-go names an event `<object>.<nanoseconds in hex>`; ours count up within a millisecond. */
  function uniqueName(of: string): string {
    const now = BigInt(clock.now()) * 1_000_000n;
    lastStamp = now > lastStamp ? now : lastStamp + 1n;
    return `${of}.${lastStamp.toString(16)}`;
  }

  async function write(note: EventNote): Promise<void> {
    const correlated = correlator.correlate(note, clock.now());
    if (!correlated)
      return void log.debug({ reason: note.reason, object: note.regarding.metadata.name }, 'event dropped: too many from this object');
    const now = toTime(clock.now());
    const { known } = correlated;
    if (known) {
      try {
        const patch = { count: correlated.count, lastTimestamp: now, message: correlated.message };
        await client.patch(resources.events, known.name, known.namespace, 'merge', patch);
        return;
      } catch (error) {
        if (!isNotFound(error)) throw error; // Expired in the meantime: make it anew.
      }
    }
    const created = await create(() => newEvent(note, correlated, now));
    correlated.remember({ name: created.metadata.name, namespace: created.metadata.namespace ?? 'default' });
  }

  /** Another component may tell something of the same object in the same millisecond; the next try has another name. */
  async function create(make: () => Event): Promise<Event> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await client.create(resources.events, make());
      } catch (error) {
        if (!isAlreadyExists(error) || attempt === sameNameTries) throw error;
      }
    }
  }

  function newEvent({ regarding, type, reason }: EventNote, { count, message }: CorrelatedEvent, now: string): Event {
    const namespace = regarding.metadata.namespace ?? 'default';
    return {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: uniqueName(regarding.metadata.name), namespace },
      involvedObject: referenceTo(regarding),
      reason,
      message,
      type,
      count,
      firstTimestamp: now,
      lastTimestamp: now,
      source: { component, ...(host === undefined ? {} : { host }) },
      reportingComponent: component,
      reportingInstance: host ?? '',
    };
  }

  async function drain(): Promise<void> {
    for (let note = queue.shift(); note; note = queue.shift()) {
      try {
        await write(note);
      } catch (error) {
        log.warn({ err: error, reason: note.reason, object: note.regarding.metadata.name }, 'an event could not be written');
      }
    }
  }

  return {
    record(note) {
      if (queue.length >= longestQueue) return void log.warn({ reason: note.reason }, 'event dropped: the queue is full');
      queue.push(note);
      writing ??= drain().finally(() => {
        writing = undefined;
      });
    },
    async flush() {
      while (writing) await writing;
    },
  };
}

/** A reference as Events carry it. */
const referenceTo = ({ apiVersion, kind, metadata }: KubeObject): ObjectReference => ({
  apiVersion,
  kind,
  ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
  name: metadata.name,
  ...(metadata.uid === undefined ? {} : { uid: metadata.uid }),
  ...(metadata.resourceVersion === undefined ? {} : { resourceVersion: metadata.resourceVersion }),
});
