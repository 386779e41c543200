import { backoffDelay } from './backoff.ts';
import type { Clock } from './clock.ts';
import type { Logger } from './log.ts';

/** The one loop behind every daemon: `apply(diff(await read(), compile(snapshot())))`. */
export interface SyncLoopParts<Input, State, Change> {
  readonly name: string;
  readonly log: Logger;
  readonly clock: Clock;
  /** The whole input as of now; undefined while the caches have not synced. */
  snapshot(): Input | undefined;
  /** Pure. */
  compile(input: Input): State;
  /** Actual state, of the same type as the desired one. */
  read(): Promise<State>;
  /** Pure. Undefined when there is nothing to change. */
  diff(actual: State, desired: State): Change | undefined;
  /** Applies the change in one transaction. */
  apply(change: Change, desired: State): Promise<void>;
  /** Called after every turn with its outcome; for metrics and readiness. */
  onTurn?(turn: SyncTurn): void;
  /** On average at least this long between the starts of two turns (ms). */
  readonly minInterval: number;
  /** So many turns may follow each other at once after a quiet time: a token bucket that gains one each `minInterval`. Default 1. */
  readonly burst?: number;
  /** A turn happens at least this often even when nothing triggers it (ms), so that foreign changes are repaired. */
  readonly resyncInterval: number;
  /** In [0, 1), for the jitter of the retry delay. */
  readonly random?: () => number;
}

export interface SyncTurn {
  readonly changed: boolean;
  readonly error?: unknown;
  /** Milliseconds. */
  readonly duration: number;
}

export interface SyncLoop {
  /** Asks for a turn soon; many calls before it starts make one turn. */
  trigger(): void;
  /** Runs a turn that sees everything up to now and waits for it. Rejects with the turn's error. */
  syncNow(): Promise<void>;
  /** Waits for a running turn and starts no other. */
  stop(): Promise<void>;
}

/** Starts the loop; the first turn starts at once. A failed turn is logged and retried with backoff (50 ms to 5 s). */
export function startSyncLoop<Input, State, Change>(parts: SyncLoopParts<Input, State, Change>): SyncLoop {
  const { clock, log, name } = parts;
  const random = parts.random ?? Math.random;
  let stopped = false;
  let failures = 0;
  const burst = parts.burst ?? 1;
  /** Turns that may start at `countedAt`. */
  let tokens = burst;
  let countedAt = clock.monotonic();
  let cancelTimer: (() => void) | undefined;
  let dueAt = Number.POSITIVE_INFINITY;
  let running: Promise<unknown> | undefined;
  let dirty = false;

  async function turn(): Promise<boolean> {
    const input = parts.snapshot();
    if (input === undefined) return false;
    const desired = parts.compile(input);
    const change = parts.diff(await parts.read(), desired);
    if (change === undefined) return false;
    await parts.apply(change, desired);
    return true;
  }

  async function run(): Promise<unknown> {
    const start = clock.monotonic();
    tokens = Math.max(0, tokensAt(start) - 1);
    countedAt = start;
    dirty = false;
    let error: unknown;
    let changed = false;
    try {
      changed = await turn();
      failures = 0;
    } catch (caught) {
      error = caught ?? new Error(`${name}: sync failed`);
      failures++;
      log.error({ err: caught, failures }, `${name}: sync failed, will retry`);
    }
    const duration = clock.monotonic() - start;
    parts.onTurn?.(error === undefined ? { changed, duration } : { changed, duration, error });
    return error;
  }

  function schedule(delay: number): void {
    if (stopped || running) return;
    const due = clock.monotonic() + delay;
    if (due >= dueAt) return;
    cancelTimer?.();
    dueAt = due;
    cancelTimer = clock.setTimer(delay, () => void begin());
  }

  function begin(): Promise<unknown> {
    cancelTimer?.();
    dueAt = Number.POSITIVE_INFINITY;
    const current = run().finally(() => {
      running = undefined;
      if (failures > 0) schedule(backoffDelay(failures, { base: 50, cap: 5_000, random }));
      else schedule(dirty ? untilAllowed() : parts.resyncInterval);
    });
    running = current;
    return current;
  }

  const tokensAt = (now: number): number =>
    parts.minInterval === 0 ? burst : Math.min(burst, tokens + (now - countedAt) / parts.minInterval);
  const untilAllowed = (): number => Math.max(0, (1 - tokensAt(clock.monotonic())) * parts.minInterval);

  schedule(0);
  return {
    trigger() {
      dirty = true;
      if (failures === 0) schedule(untilAllowed());
    },
    async syncNow() {
      while (running) await running;
      const error = await begin();
      if (error !== undefined) throw error;
    },
    async stop() {
      stopped = true;
      cancelTimer?.();
      await running;
    },
  };
}
