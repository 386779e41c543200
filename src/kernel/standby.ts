import type { CommandRunner } from './command-runner.ts';
import type { StandbyCommand } from './waiting-commands.ts';

/** One process kept started for the next call. */
export interface Standby {
  /** The waiting process, if there is one. */
  take(): StandbyCommand | undefined;
  /** Starts the next one. */
  renew(): void;
  close(): void;
}

/** Does nothing with a runner that cannot start programs ahead of time. */
export function createStandby({ standby }: Pick<CommandRunner, 'standby'>, command: string, args: readonly string[]): Standby {
  let waiting: StandbyCommand | undefined;
  let closed = false;
  return {
    take() {
      const taken = waiting;
      waiting = undefined;
      return taken;
    },
    renew() {
      if (!closed) waiting ??= standby?.(command, args);
    },
    close() {
      closed = true;
      waiting?.dismiss();
      waiting = undefined;
    },
  };
}
