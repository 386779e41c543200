import type { Clock } from './clock.ts';

export interface FakeClock extends Clock {
  /** Moves time forward, firing due timers in order; lets promise callbacks run between them. */
  advance(milliseconds: number): Promise<void>;
}

/** A clock that moves only when told to. Starts at `start` (milliseconds since the epoch). */
export function createFakeClock(start = 0): FakeClock {
  let now = start;
  let sequence = 0;
  const timers = new Map<number, { due: number; callback: () => void }>();
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return {
    now: () => now,
    monotonic: () => now - start,
    setTimer(delay, callback) {
      const id = sequence++;
      timers.set(id, { due: now + Math.max(0, delay), callback });
      return () => void timers.delete(id);
    },
    async advance(milliseconds) {
      const end = now + milliseconds;
      await settle();
      for (;;) {
        const next = [...timers].filter(([, timer]) => timer.due <= end).sort(([a, x], [b, y]) => x.due - y.due || a - b)[0];
        if (!next) break;
        timers.delete(next[0]);
        now = Math.max(now, next[1].due);
        next[1].callback();
        await settle();
      }
      now = end;
      await settle();
    },
  };
}
