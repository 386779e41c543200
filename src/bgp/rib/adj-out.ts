import type { Prefix } from '../../net/index.ts';
import { encodeAttributes } from '../wire/attributes-encode.ts';
import type { Announcement } from '../wire/pack.ts';
import type { PathAttributes } from '../wire/types.ts';
import type { ExportedRoute } from './export.ts';

/** What a peer has been told, and what it has still to be told: the adj-RIB-out as a difference. */
export interface AdjRibOut {
  /** Notes that the prefix must be looked at again. */
  mark(prefix: Prefix): void;
  /** At most `limit` of the marked prefixes as changes, given what each should be now. What the peer has already is left out. */
  take(limit: number, desired: (prefix: Prefix) => ExportedRoute | undefined): { withdrawals: Prefix[]; announcements: Announcement[] };
  /** Takes back that the prefixes were announced: they did not fit a message. */
  forget(prefixes: readonly Prefix[]): void;
  /** Forgets what was told, so that all that is marked is sent again: a refresh, or a new session. */
  clear(): void;
  readonly pending: number;
  readonly advertised: ReadonlyMap<string, ExportedRoute>;
}

export function createAdjRibOut(): AdjRibOut {
  const marked = new Map<string, Prefix>();
  const told = new Map<string, ExportedRoute>();
  return {
    mark: (prefix) => void marked.set(prefix.text, prefix),
    take(limit, desired) {
      const withdrawals: Prefix[] = [];
      const groups = new Map<string, Announcement & { prefixes: Prefix[] }>();
      let taken = 0;
      for (const [key, prefix] of marked) {
        if (taken++ === limit) break;
        marked.delete(key);
        const before = told.get(key);
        const after = desired(prefix);
        if (!after) {
          if (told.delete(key)) withdrawals.push(prefix);
        } else if (!before || !sameRoute(before, after)) {
          told.set(key, after);
          const group = `${prefix.family} ${after.nextHop.text} ${attributesKey(after.attributes)}`;
          const known = groups.get(group);
          if (known) known.prefixes.push(prefix);
          else groups.set(group, { family: prefix.family, ...after, prefixes: [prefix] });
        }
      }
      return { withdrawals, announcements: [...groups.values()] };
    },
    forget(prefixes) {
      for (const { text } of prefixes) told.delete(text);
    },
    clear() {
      marked.clear();
      told.clear();
    },
    get pending() {
      return marked.size;
    },
    advertised: told,
  };
}

const keys = new WeakMap<PathAttributes, string>();

/** Equal for equal attributes. Kept with the object, as one set of attributes serves many prefixes. */
function attributesKey(attributes: PathAttributes): string {
  let key = keys.get(attributes);
  if (key === undefined) {
    key = Buffer.from(encodeAttributes(attributes, { fourOctetAsn: true })).toString('latin1');
    keys.set(attributes, key);
  }
  return key;
}

const sameRoute = (a: ExportedRoute, b: ExportedRoute): boolean =>
  a.nextHop.text === b.nextHop.text && (a.attributes === b.attributes || attributesKey(a.attributes) === attributesKey(b.attributes));
