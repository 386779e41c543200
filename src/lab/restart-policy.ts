/** How a daemon's ends are answered: at once the first time, then slower while it keeps ending early. All times in milliseconds. */
export interface RestartState {
  /** Ends in a row that came too early. */
  readonly earlyEnds: number;
}

export const initialRestartState: RestartState = { earlyEnds: 0 };

/** A daemon that ran this long is well again. */
const settledAfter = 10_000;
const firstDelay = 50;
const longestDelay = 5_000;

/** The state after an end, and how long to wait before the next start. `uptime` is how long the daemon ran. */
export function afterEnd(state: RestartState, uptime: number): readonly [RestartState, delay: number] {
  const earlyEnds = uptime >= settledAfter ? 1 : state.earlyEnds + 1;
  return [{ earlyEnds }, Math.min(longestDelay, firstDelay * 2 ** Math.min(earlyEnds - 1, 20))];
}
