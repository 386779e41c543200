import type { StoreEvent } from './store.ts';

/** How far back a store's history goes. It holds at least the last `revisions` transactions, unless they take more than `bytes`. */
export interface HistoryLimits {
  readonly revisions: number;
  /** Of keys and values, those before the change included. */
  readonly bytes: number;
  /**
   * Keys under these prefixes are written over and over, and nobody needs their past: what changes nothing else is kept for fewer revisions, and
   * does not push out the history of the rest.
   */
  readonly short: { readonly prefixes: readonly string[]; readonly revisions: number; readonly bytes: number };
}

export const defaultHistory: HistoryLimits = {
  revisions: 10_000,
  bytes: 32 * 1024 * 1024,
  short: { prefixes: ['/registry/leases/', '/registry/events/'], revisions: 1_000, bytes: 4 * 1024 * 1024 },
};

/** What is in the history, by revision, and what is to go. Oldest first; forgetting is in steps of a tenth of the limits, which keeps it cheap. */
export interface HistoryLedger {
  /** Takes note of a transaction; revisions grow. */
  add(revision: number, events: readonly StoreEvent[]): void;
  /** Revisions that go now. {@link compacted} tells afterwards how far back each part reaches. */
  forget(): number[];
  /** Everything up to and with this revision goes, of both parts. */
  forgetUpTo(revision: number): number[];
  compacted(prefix?: string): number;
  /** As they are to be stored. */
  readonly marks: { readonly long: number; readonly short: number };
}

interface Part {
  /** Sorted by revision; entries before `start` are gone. */
  entries: { revision: number; bytes: number }[];
  start: number;
  bytes: number;
  compacted: number;
}

export function createHistoryLedger(limits: HistoryLimits, marks: { readonly long: number; readonly short: number }): HistoryLedger {
  const long = newPart(marks.long);
  const short = newPart(marks.short);
  const isShort = (key: string): boolean => limits.short.prefixes.some((prefix) => key.startsWith(prefix));
  return {
    add(revision, events) {
      const part = events.every(({ key }) => isShort(key)) ? short : long;
      const bytes = events.reduce((sum, event) => sum + sizeOf(event), 0);
      part.entries.push({ revision, bytes });
      part.bytes += bytes;
    },
    forget: () => [...shorten(long, limits.revisions, limits.bytes), ...shorten(short, limits.short.revisions, limits.short.bytes)],
    forgetUpTo: (revision) => [long, short].flatMap((part) => dropWhile(part, (entry) => entry.revision <= revision, revision)),
    compacted: (prefix) => (prefix !== undefined && isShort(prefix) ? Math.max(long.compacted, short.compacted) : long.compacted),
    get marks() {
      return { long: long.compacted, short: short.compacted };
    },
  };
}

const newPart = (compacted: number): Part => ({ entries: [], start: 0, bytes: 0, compacted });

const sizeOf = ({ type, key, value, previous }: StoreEvent): number =>
  key.length + (type === 'put' ? value.length : 0) + (previous?.value.length ?? 0);

function shorten(part: Part, revisions: number, bytes: number): number[] {
  const count = part.entries.length - part.start;
  if (count < revisions * 1.1 && part.bytes <= bytes) return [];
  let excess = count - revisions;
  const enough = part.bytes > bytes ? bytes * 0.9 : bytes;
  return dropWhile(part, () => excess-- > 0 || part.bytes > enough, part.compacted);
}

/** Drops from the old end, and cuts the array only now and then: cutting moves all that stays. */
function dropWhile(part: Part, goes: (entry: { revision: number }) => boolean, atLeast: number): number[] {
  const gone: number[] = [];
  for (let entry = part.entries[part.start]; entry && goes(entry); entry = part.entries[part.start]) {
    gone.push(entry.revision);
    part.bytes -= entry.bytes;
    part.start++;
  }
  part.compacted = Math.max(part.compacted, atLeast, gone.at(-1) ?? 0);
  if (part.start > part.entries.length / 2) {
    part.entries = part.entries.slice(part.start);
    part.start = 0;
  }
  return gone;
}
