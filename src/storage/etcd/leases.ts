import type { Clock } from '../../runtime/clock.ts';
import type { EtcdConnection } from './connection.ts';
import { methods } from './rpc.ts';

/** Values whose key starts with `prefix` go `seconds` after they were last written. */
export interface Expiry {
  readonly prefix: string;
  readonly seconds: number;
}

/**
 * Leases for values that expire. One serves all puts of a minute (at most 1,000), because etcd slows down with many leases; it lives that minute
 * longer, so a value stays for its time and up to a minute more.
 */
export interface LeasePool {
  /** ID of the lease to attach to a put of this key; undefined when it does not expire. @throws StoreError when none can be had. */
  leaseOf(key: string): Promise<number | undefined>;
  /** The lease is gone; the next put gets another one. */
  forget(lease: number): void;
}

const reuseTime = 60_000;
const reuseCount = 1_000;

export function createLeasePool(connection: EtcdConnection, expiries: readonly Expiry[], clock: Clock, random: () => number): LeasePool {
  const leases = new Map<Expiry, { id: Promise<number>; until: number; uses: number }>();

  async function grant(seconds: number): Promise<number> {
    // Within what a JavaScript number holds exactly, and not 0, which means that etcd chooses.
    const id = 1 + Math.floor(random() * (Number.MAX_SAFE_INTEGER - 1));
    await connection.call(methods().leaseGrant, { TTL: seconds + reuseTime / 1_000, ID: id }, { repeatable: false });
    return id;
  }

  return {
    async leaseOf(key) {
      const expiry = expiries.find(({ prefix }) => key.startsWith(prefix));
      if (!expiry) return undefined;
      let lease = leases.get(expiry);
      if (!lease || lease.until <= clock.monotonic() || lease.uses >= reuseCount) {
        lease = { id: grant(expiry.seconds), until: clock.monotonic() + reuseTime, uses: 0 };
        leases.set(expiry, lease);
        lease.id.catch(() => leases.delete(expiry));
      }
      lease.uses++;
      return lease.id;
    },
    forget(lost) {
      for (const [expiry, { id }] of leases) void id.then((known) => known === lost && leases.delete(expiry)).catch(() => {});
    },
  };
}
