import { apiVersionOf, type KindDeclaration, type Status } from '../objects/index.ts';
import type { CachedObject } from './cached-object.ts';
import type { Accepted } from './negotiate.ts';
import type { CacheEvent } from './resource-cache.ts';
import type { Selection } from './selection.ts';
import { type IncludeObject, toMetadata, toTable } from './table.ts';

export type WatchEventType = CacheEvent['type'];

/** What a watcher with this selection sees of a change; undefined when nothing. An object that leaves the selection is deleted for it. */
export function seenBy(selection: Selection, event: CacheEvent): { type: WatchEventType; object: CachedObject } | undefined {
  const { object, previous, type, revision } = event;
  if (!object.key.startsWith(selection.prefix)) return undefined;
  if (!selection.filtered) return { type, object };
  const isIn = type !== 'DELETED' && selection.matches(object);
  const wasIn = previous !== undefined && selection.matches(previous);
  if (isIn) return { type: wasIn ? 'MODIFIED' : 'ADDED', object };
  if (!wasIn) return undefined;
  return { type: 'DELETED', object: type === 'DELETED' ? object : previous.at(revision) };
}

/** Encodes the events of one watch as lines of JSON. */
export interface WatchEncoder {
  event(type: WatchEventType, object: CachedObject): Buffer;
  bookmark(revision: number, initialEventsEnd: boolean): Buffer;
}

/** A change goes to all watchers in one turn, and its line is the same for each: the last one made is kept, and no other. */
let latest: { object: CachedObject | undefined; type: WatchEventType; line: Buffer } = {
  object: undefined,
  type: 'ADDED',
  line: Buffer.alloc(0),
};

export function createWatchEncoder(
  kind: KindDeclaration,
  form: Accepted['form'],
  includeObject: IncludeObject,
  now: () => number,
): WatchEncoder {
  // Only the first Table of a watch has column definitions.
  let headers = true;
  const present = (object: Parameters<typeof toMetadata>[0]): object => {
    if (form === 'metadata') return toMetadata(object);
    const table = toTable(kind, [object], { resourceVersion: object.metadata.resourceVersion }, { includeObject, headers, now: now() });
    headers = false;
    return table;
  };
  return {
    event(type, object) {
      if (form !== 'object') return line(type, present(object.parse()));
      if (latest.object !== object || latest.type !== type) {
        latest = { object, type, line: Buffer.from(`{"type":"${type}","object":${object.json}}\n`) };
      }
      return latest.line;
    },
    bookmark(revision, initialEventsEnd) {
      const annotations = initialEventsEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {};
      const metadata = { resourceVersion: String(revision), creationTimestamp: null, ...annotations };
      const object = { kind: kind.resource.kind, apiVersion: apiVersionOf(kind.resource), metadata };
      if (form === 'object') return line('BOOKMARK', object);
      if (form === 'metadata') return line('BOOKMARK', { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata });
      const row = { cells: kind.columns.map(() => ''), object: { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata } };
      const list = { resourceVersion: String(revision) };
      return line('BOOKMARK', { kind: 'Table', apiVersion: 'meta.k8s.io/v1', metadata: list, columnDefinitions: [], rows: [row] });
    },
  };
}

export const errorLine = (status: Status): Buffer => line('ERROR', status);

const line = (type: string, object: object): Buffer => Buffer.from(`${JSON.stringify({ type, object })}\n`);
