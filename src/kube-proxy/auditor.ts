import type { Clock } from '../runtime/clock.ts';
import type { AnyProgrammer } from './programmer.ts';

/** Finds out whether somebody else has changed what the kernel holds, without holding up the turns of the loop. */
export interface Auditor {
  /** Begins to watch, where that is possible; `resync` asks for a turn. */
  watch(resync: () => void): void;
  /** Nothing was changed by others since the last reading; false when only another reading would tell. */
  isUntouched(): boolean;
  /** What is known of the kernel is of no use, because somebody has changed something or it could not be read. */
  isDoubtful(): boolean;
  /** A turn reads the kernel itself. */
  reading(): void;
  /** A turn changes the kernel: what is being read beside it may be from before or after. */
  changing(): void;
  /** Reads the kernel beside the turns and asks for one then. Does nothing while it is at it. */
  start(): void;
  /** Waits for a reading that is under way. */
  close(): Promise<void>;
}

export interface AuditorParts {
  readonly programmer: Pick<AnyProgrammer, 'read' | 'watch' | 'close'>;
  readonly clock: Clock;
  /** Takes what was read while no turn was changing it. */
  readonly audited: (rules: unknown) => void;
}

/** So often is the kernel read again when turns changed it meanwhile, before a turn has to do it. */
const maxTries = 3;

/** Between two repairs of what others change (ms), so that a quarrel with another program does not take the whole processor. */
const minRepairInterval = 1_000;

/** However well the kernel is watched, it is read this often (ms). */
const maxTrust = 3_600_000;

export function createAuditor({ programmer, clock, audited }: AuditorParts): Auditor {
  let resync = (): void => undefined;
  let watched: { isUntouched(): boolean } | undefined;
  let doubtful = false;
  let changes = 0;
  let readAt = clock.monotonic();
  let repairedAt = Number.NEGATIVE_INFINITY;
  let underWay: Promise<void> | undefined;
  let cancelTimer: (() => void) | undefined;
  let closed = false;

  const doubt = (): void => {
    if (closed || cancelTimer) return;
    const wait = Math.max(0, repairedAt + minRepairInterval - clock.monotonic());
    cancelTimer = clock.setTimer(wait, () => {
      cancelTimer = undefined;
      repairedAt = clock.monotonic();
      doubtful = true;
      resync();
    });
  };

  async function audit(): Promise<void> {
    for (let tries = 0; tries < maxTries && !closed; tries++) {
      const before = changes;
      let rules: unknown;
      try {
        rules = await programmer.read();
      } catch {
        break;
      }
      if (closed) return;
      if (changes !== before) continue;
      readAt = clock.monotonic();
      audited(rules);
      return resync();
    }
    // It could not be read, or not between two changes: a turn has to do it.
    doubtful = true;
    if (!closed) resync();
  }

  return {
    watch(ask) {
      resync = ask;
      watched = programmer.watch?.(doubt);
    },
    isUntouched: () => !doubtful && clock.monotonic() - readAt < maxTrust && watched?.isUntouched() === true,
    isDoubtful: () => doubtful,
    reading() {
      doubtful = false;
      readAt = clock.monotonic();
    },
    changing: () => void changes++,
    start() {
      underWay ??= audit().finally(() => (underWay = undefined));
    },
    async close() {
      closed = true;
      cancelTimer?.();
      await underWay;
      programmer.close?.();
    },
  };
}
