/** A token bucket filter (tc-tbf(8)): what leaves a link is held to `rate`, after a burst. */
export interface TokenBucket {
  /** Bits per second. */
  readonly rate: number;
  /** Bytes. */
  readonly burst: number;
}

/** What limits a link's way out at its root; `other` is a kind that we do not make. */
export type RootQdisc = { readonly kind: 'tbf'; readonly bucket: TokenBucket } | { readonly kind: 'other'; readonly name: string };

/** How long a packet may wait in the queue (ms); as the reference bandwidth plugin. */
export const bucketLatency = 25;

/** The kernel keeps a burst as the time it takes at the rate, in 64 ns steps in 32 bits; of a longer one the listing tells nothing. */
const longestBurst = (2 ** 32 * 64) / 1e9;

/**
 * How the qdisc falls short of the wanted one, in words; undefined when it does not. Bursts are compared to the microsecond, which is what tc
 * rounds to.
 */
export function qdiscDifference(desired: TokenBucket, actual: RootQdisc | undefined): string | undefined {
  if (!actual) return 'is gone';
  if (actual.kind === 'other') return actual.name === 'noqueue' ? 'is gone' : `is ${actual.name}, not tbf`;
  const { rate, burst } = actual.bucket;
  if (rate !== desired.rate - (desired.rate % 8)) return `has a rate of ${rate} bit/s, not ${desired.rate}`;
  const bytesPerSecond = desired.rate / 8;
  if (desired.burst / bytesPerSecond >= longestBurst) return undefined;
  return Math.abs(burst - desired.burst) > 2 + bytesPerSecond / 250_000 ? `has a burst of ${burst} bytes, not ${desired.burst}` : undefined;
}
