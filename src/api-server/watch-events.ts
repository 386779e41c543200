import { apiVersionOf, type KindDeclaration, type Status } from '../objects/index.ts';
import type { CachedObject } from './cached-object.ts';
import { toChunk } from './http-chunk.ts';
import { encodeWatchEvent } from './encode.ts';
import type { Accepted, Encoding } from './negotiate.ts';
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

/** Encodes the events of one watch as lines of JSON, each framed as an HTTP chunk. */
export interface WatchEncoder {
  event(type: WatchEventType, object: CachedObject): Buffer;
  bookmark(revision: number, initialEventsEnd: boolean): Buffer;
}

/** A change goes to all watchers in one turn, and is the same for all who want it in the same form: the last one's lines are kept, and no others. */
let latest: { object: CachedObject | undefined; type: WatchEventType; lines: Map<string, Buffer> } = {
  object: undefined,
  type: 'ADDED',
  lines: new Map(),
};

function shared(object: CachedObject, type: WatchEventType, form: string, make: () => Buffer): Buffer {
  if (latest.object !== object || latest.type !== type) latest = { object, type, lines: new Map() };
  const known = latest.lines.get(form);
  if (known) return known;
  const made = make();
  latest.lines.set(form, made);
  return made;
}

export function createWatchEncoder(
  kind: KindDeclaration,
  { form, encoding, metaVersion }: Accepted,
  includeObject: IncludeObject,
  now: () => number,
): WatchEncoder {
  const line = (type: string, object: object): Buffer => toChunk(encodeWatchEvent(encoding, type, JSON.stringify(object)));
  const apiVersion = `meta.k8s.io/${metaVersion}`;
  // Only the first Table of a watch has column definitions.
  let headers = true;
  const present = (object: Parameters<typeof toMetadata>[0]): object => {
    if (form === 'metadata') return toMetadata(object, metaVersion);
    const options = { includeObject, headers, now: now(), metaVersion };
    const table = toTable(kind, [object], { resourceVersion: object.metadata.resourceVersion }, options);
    headers = false;
    return table;
  };
  return {
    event(type, object) {
      if (form === 'object') return shared(object, type, encoding, () => toChunk(encodeWatchEvent(encoding, type, object.json)));
      if (form === 'table' && headers) return line(type, present(object.parse()));
      return shared(object, type, form + includeObject + encoding + metaVersion, () => line(type, present(object.parse())));
    },
    bookmark(revision, initialEventsEnd) {
      const annotations = initialEventsEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {};
      const metadata = { resourceVersion: String(revision), creationTimestamp: null, ...annotations };
      const object = { kind: kind.resource.kind, apiVersion: apiVersionOf(kind.resource), metadata };
      if (form === 'object') return line('BOOKMARK', object);
      if (form === 'metadata') return line('BOOKMARK', { kind: 'PartialObjectMetadata', apiVersion, metadata });
      const row = { cells: kind.columns.map(() => ''), object: { kind: 'PartialObjectMetadata', apiVersion, metadata } };
      const list = { resourceVersion: String(revision) };
      return line('BOOKMARK', { kind: 'Table', apiVersion, metadata: list, columnDefinitions: null, rows: [row] });
    },
  };
}

/** The line that ends a watch, without a frame. */
export const errorLine = (status: Status, encoding: Encoding): string | Buffer =>
  encodeWatchEvent(encoding, 'ERROR', JSON.stringify(status));
