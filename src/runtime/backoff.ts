/** Delay in milliseconds before attempt number `failures` (1 = first retry): exponential, capped, with full jitter on the upper half. */
export interface BackoffOptions {
  readonly base: number;
  readonly cap: number;
  /** A number in [0, 1). */
  readonly random: () => number;
}

export function backoffDelay(failures: number, { base, cap, random }: BackoffOptions): number {
  const ceiling = Math.min(cap, base * 2 ** Math.min(Math.max(failures - 1, 0), 30));
  return ceiling / 2 + (random() * ceiling) / 2;
}
