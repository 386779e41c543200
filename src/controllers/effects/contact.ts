import type { CheckedOptions } from '../options.ts';

/**
 * Whether the API server is in touch, judged by the renewals of our own lease: while it is away nobody can renew a Lease, and no node is to blame.
 * Without leader election it counts as always in touch.
 */
export function trackContact({ leaderElect, retryPeriod, leaseDuration }: CheckedOptions, monotonic: () => number) {
  const patience = 2 * retryPeriod + 1_000;
  let since: number | undefined;
  let last = Number.NEGATIVE_INFINITY;
  return {
    renewed(): void {
      const now = monotonic();
      if (since === undefined || now - last > patience) since = now;
      last = now;
    },
    /** The lease cannot have run out since it was renewed last. */
    isFresh: (): boolean => !leaderElect || monotonic() - last < leaseDuration,
    since: (): number | undefined => {
      if (!leaderElect) return Number.NEGATIVE_INFINITY;
      return monotonic() - last > patience ? undefined : since;
    },
  };
}
