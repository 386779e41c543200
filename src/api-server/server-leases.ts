import type { Clock } from '../runtime/clock.ts';
import type { Store } from '../storage/index.ts';

/** Where one API server is reached. */
export interface ServerAddress {
  readonly ip: string;
  readonly port: number;
}

/** The API servers on one store that are alive. */
export interface ServerLeases {
  /** Renews this server's lease, drops those that were not renewed for long, and tells who is left, this server first. */
  renew(): Promise<ServerAddress[]>;
  /** Gives up this server's lease; tells who is left. */
  release(): Promise<ServerAddress[]>;
}

const prefix = '/registry/masterleases/';
/** A lease that is not renewed for this long (ms) is nobody's. Renewals come every 10 s. */
const lifetime = 30_000;

/**
 * Leases as keys of the store, one per server, as kube-apiserver keeps them (its lease endpoint reconciler). Whether a lease was renewed is told by
 * its revision, and how long ago by this server's own clock: clocks of several machines need not agree.
 */
export function createServerLeases(store: Store, own: ServerAddress, clock: Clock): ServerLeases {
  const seen = new Map<string, { revision: number; at: number }>();
  const ownKey = `${prefix}${own.ip}:${own.port}`;

  async function others(): Promise<ServerAddress[]> {
    const { values } = await store.list(prefix);
    const alive: ServerAddress[] = [];
    for (const { key, value, modRevision } of values) {
      if (key === ownKey) continue;
      const known = seen.get(key);
      if (known?.revision !== modRevision) seen.set(key, { revision: modRevision, at: clock.monotonic() });
      else if (clock.monotonic() - known.at > lifetime) {
        await store.commit({ conditions: [{ key, modRevision }], writes: [{ delete: { key } }] });
        seen.delete(key);
        continue;
      }
      const address = parse(value);
      if (address) alive.push(address);
    }
    return alive;
  }

  return {
    async renew() {
      await store.commit({ conditions: [], writes: [{ put: { key: ownKey, value: JSON.stringify({ kind: 'ServerLease', ...own }) } }] });
      return [own, ...(await others())];
    },
    async release() {
      await store.commit({ conditions: [], writes: [{ delete: { key: ownKey } }] });
      return others();
    },
  };
}

/** Undefined when a person has written something else there. */
function parse(value: string): ServerAddress | undefined {
  try {
    const { ip, port } = JSON.parse(value) as Partial<ServerAddress>;
    return typeof ip === 'string' && typeof port === 'number' ? { ip, port } : undefined;
  } catch {
    return undefined;
  }
}
