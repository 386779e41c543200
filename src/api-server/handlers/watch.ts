import type { ServerResponse } from 'node:http';
import type { ApiRequest } from '../api-request.ts';
import type { CachedObject } from '../cached-object.ts';
import { EventStream } from '../event-stream.ts';
import { parseWatchOptions, type WatchOptions } from '../list-options.ts';
import type { Registry } from '../registry/registry.ts';
import type { CacheEvent } from '../resource-cache.ts';
import { selectionOf } from '../selection.ts';
import { expired } from '../status-errors.ts';
import { parseIncludeObject } from '../table.ts';
import { createWatchEncoder, errorLine, seenBy } from '../watch-events.ts';
import { waitForRevision } from './get.ts';

/** A watch that did not ask for a time ends after half an hour to an hour, so that watchers spread over servers anew. */
const defaultSeconds = (random: () => number): number => 1_800 * (1 + random());
/** Between bookmarks (ms), and before the end of the watch. */
const bookmarkInterval = 60_000;
const lastBookmarkBeforeEnd = 2_000;

/** The watches under way, so that the server can end them. */
export interface Watches {
  readonly size: number;
  add(end: () => void): () => void;
  endAll(): void;
}

export function createWatches(): Watches {
  const ends = new Set<() => void>();
  return {
    get size() {
      return ends.size;
    },
    add(end) {
      ends.add(end);
      return () => void ends.delete(end);
    },
    endAll() {
      for (const end of [...ends]) end();
    },
  };
}

/** What is decided before the first byte is sent. */
export interface PreparedWatch {
  /** Writes the watch to the response, which it owns from now on. */
  start(response: ServerResponse): void;
}

/** GET of a collection with watch=true. @throws StatusError 400, 422, 504; an expired revision is told in the stream, as the reference does. */
export async function prepareWatch(registry: Registry, watches: Watches, { info, query, accepted }: ApiRequest): Promise<PreparedWatch> {
  const { cache, clock, random } = registry;
  const options = parseWatchOptions(query);
  const selection = selectionOf(info.kind, info.namespace, query);
  const encoder = createWatchEncoder(info.kind, accepted, parseIncludeObject(query), () => clock.now());
  // A watch without objects may begin in the future: it is quiet until then.
  if (options.sendInitialEvents || options.resourceVersion === undefined) await waitForRevision(registry, options.resourceVersion);

  return {
    start(response) {
      const { resourceVersion: from = 0 } = options;
      const withObjects = options.sendInitialEvents ?? from === 0;
      if (!withObjects && from > 0 && from < cache.oldestRevision(info.kind)) {
        response.end(
          errorLine(expired(`too old resource version: ${from} (${cache.oldestRevision(info.kind)})`).status, accepted.encoding),
        );
        return;
      }
      const resource = cache.of(info.kind);
      const revision = cache.revision();
      // No await from here to the subscription: each change is in what stands, in the history, or comes by the subscription.
      const initial = withObjects ? resource.list(selection.prefix) : [];
      const past = withObjects || from === 0 ? [] : resource.eventsAfter(from);
      const timers: (() => void)[] = [];
      const stream = new EventStream(response, initialLines(initial, past, revision), () => {
        unsubscribe();
        forget();
        for (const cancel of timers) cancel();
      });
      const unsubscribe = resource.subscribe((event) => {
        if (!withObjects && event.revision <= from) return;
        const seen = seenBy(selection, event);
        if (seen) stream.push(encoder.event(seen.type, seen.object));
      });
      const forget = watches.add(() => stream.end());
      scheduleBookmarksAndEnd(stream, options, timers);
    },
  };

  function* initialLines(initial: readonly CachedObject[], past: readonly CacheEvent[], revision: number): Generator<Buffer> {
    for (const object of initial) if (selection.matches(object)) yield encoder.event('ADDED', object);
    for (const event of past) {
      const seen = seenBy(selection, event);
      if (seen) yield encoder.event(seen.type, seen.object);
    }
    if (options.sendInitialEvents && options.bookmarks) yield encoder.bookmark(revision, true);
  }

  function scheduleBookmarksAndEnd(stream: EventStream, { bookmarks, timeoutSeconds }: WatchOptions, timers: (() => void)[]): void {
    const duration = (timeoutSeconds || defaultSeconds(random)) * 1_000;
    timers[0] = clock.setTimer(duration, () => stream.end());
    if (!bookmarks) return;
    const bookmark = (): void => stream.push(encoder.bookmark(Math.max(cache.revision(), options.resourceVersion ?? 0), false));
    const repeat = (): void => {
      timers[1] = clock.setTimer(bookmarkInterval, () => {
        bookmark();
        repeat();
      });
    };
    repeat();
    if (duration > lastBookmarkBeforeEnd) timers[2] = clock.setTimer(duration - lastBookmarkBeforeEnd, bookmark);
  }
}
