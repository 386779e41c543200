import type { Family, Prefix } from '../../net/index.ts';
import { type Selection, selectBest } from './best-path.ts';
import { localPeer, type Path } from './path.ts';

/** A prefix whose best path changed; `after` is undefined when none is left. */
export interface RibChange {
  readonly prefix: Prefix;
  readonly before: Selection | undefined;
  readonly after: Selection | undefined;
}

/**
 * The routing tables of a speaker: adj-RIB-in of every peer, and the loc-RIB selected out of them. Changes of paths mark prefixes; `select` then
 * decides anew for the marked ones only. What it holds depends on the paths alone, not on the order in which they came.
 */
export interface Rib {
  /** Adds or replaces the path of its source to its prefix. */
  announce(path: Path): void;
  withdraw(peer: string, prefix: Prefix): void;
  /** Replaces all of our own routes. */
  setLocal(paths: readonly Path[]): void;
  /** Marks the paths of a peer that has gone and may come back (RFC 4724); a new announcement clears the mark. */
  markStale(peer: string): void;
  /** Removes the paths that are still marked, of one family or all. */
  removeStale(peer: string, family?: Family): void;
  /** Removes all paths of a peer. */
  removePeer(peer: string): void;
  /** Runs the decision process for what changed since the last time. */
  select(): RibChange[];
  /** The loc-RIB, by the text of the prefix. */
  readonly selections: ReadonlyMap<string, Selection>;
  /** The adj-RIB-in of a peer, by the text of the prefix. */
  received(peer: string): ReadonlyMap<string, Path>;
  isStale(path: Path): boolean;
  staleCount(peer: string): number;
}

const nothing: ReadonlyMap<string, Path> = new Map();

export function createRib(): Rib {
  const byPrefix = new Map<string, Map<string, Path>>();
  const byPeer = new Map<string, Map<string, Path>>();
  const stale = new Map<string, Set<string>>();
  const dirty = new Map<string, Prefix>();
  const selections = new Map<string, Selection>();

  function announce(path: Path): void {
    const key = path.prefix.text;
    const { peer } = path.source;
    getOrMake(byPrefix, key, () => new Map<string, Path>()).set(peer, path);
    getOrMake(byPeer, peer, () => new Map<string, Path>()).set(key, path);
    stale.get(peer)?.delete(key);
    dirty.set(key, path.prefix);
  }

  function withdraw(peer: string, prefix: Prefix): void {
    if (!byPeer.get(peer)?.delete(prefix.text)) return;
    const paths = byPrefix.get(prefix.text);
    paths?.delete(peer);
    if (paths?.size === 0) byPrefix.delete(prefix.text);
    stale.get(peer)?.delete(prefix.text);
    dirty.set(prefix.text, prefix);
  }

  const pathsOf = (peer: string): Path[] => [...(byPeer.get(peer)?.values() ?? [])];

  return {
    announce,
    withdraw,
    setLocal(paths) {
      const kept = new Set(paths.map(({ prefix }) => prefix.text));
      for (const path of pathsOf(localPeer)) if (!kept.has(path.prefix.text)) withdraw(localPeer, path.prefix);
      for (const path of paths) announce(path);
    },
    markStale: (peer) => void stale.set(peer, new Set(byPeer.get(peer)?.keys())),
    removeStale(peer, family) {
      const marked = stale.get(peer);
      for (const path of pathsOf(peer)) {
        if (marked?.has(path.prefix.text) && (family === undefined || path.prefix.family === family)) withdraw(peer, path.prefix);
      }
      if (marked?.size === 0) stale.delete(peer);
    },
    removePeer(peer) {
      for (const path of pathsOf(peer)) withdraw(peer, path.prefix);
      byPeer.delete(peer);
      stale.delete(peer);
    },
    select() {
      const changes: RibChange[] = [];
      for (const [key, prefix] of dirty) {
        const before = selections.get(key);
        const after = selectBest(byPrefix.get(key)?.values() ?? []);
        if (after) selections.set(key, after);
        else selections.delete(key);
        if (before?.best !== after?.best) changes.push({ prefix, before, after });
      }
      dirty.clear();
      return changes;
    },
    selections,
    received: (peer) => byPeer.get(peer) ?? nothing,
    isStale: ({ source, prefix }) => stale.get(source.peer)?.has(prefix.text) ?? false,
    staleCount: (peer) => stale.get(peer)?.size ?? 0,
  };
}

function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
