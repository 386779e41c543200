import type { CommandResult, CommandRunner } from './command-runner.ts';
import type { StandbyCommand } from './waiting-commands.ts';

/** A program that reads what to do from its standard input. */
export interface Standby {
  /** Gives one run of it its whole input. @throws CommandError */
  run(input: string, timeout: number): Promise<CommandResult>;
  /** Ends what is kept running. */
  close(): void;
}

/**
 * The program, started for each input; when `ahead`, started already for the one after it, which so is answered in a third of the time. A runner that
 * cannot start programs ahead of time starts them for each.
 */
export function createStandby(runner: CommandRunner, ahead: boolean, command: string, args: readonly string[]): Standby {
  let waiting: StandbyCommand | undefined;
  let closed = !ahead;
  const renew = (): void => {
    if (!closed) waiting ??= runner.standby?.(command, args);
  };
  return {
    async run(input, timeout) {
      const ready = waiting;
      waiting = undefined;
      try {
        return await (ready ? ready.run(input, timeout) : runner.run(command, args, { input, timeout }));
      } finally {
        // Starting a program takes this process some milliseconds, which whoever waits for the answer need not wait for too.
        setImmediate(renew);
      }
    },
    close() {
      closed = true;
      waiting?.dismiss();
      waiting = undefined;
    },
  };
}
