import type { NftFamily } from '../dataplane/nft.ts';
import type { CommandRunner } from './command-runner.ts';

/** Knows, without reading the table, whether somebody else has changed it. */
export interface NftWatch {
  /** The caller is about to change the table by one transaction. */
  begin(): void;
  /** The transaction is over: whether it was done. */
  end(done: boolean): void;
  /** The caller is about to read the table, and will know it by that. */
  reading(): void;
  /** Nobody else has changed the table since the last reading. False too while that cannot be told. */
  isUntouched(): boolean;
  close(): void;
}

/**
 * Follows `nft monitor`, which tells of every transaction of the network namespace: what it changes line by line, then `# new generation N`.
 * A transaction on the table that is not the caller's own is somebody else's: the two are told apart by their number, because the process
 * id that nft prints is of another pid namespace in a container. An `nft list` of the table would cost a second and more for each look.
 *
 * Undefined when the runner cannot follow a program.
 */
export function watchNftTable(runner: CommandRunner, table: string, family: NftFamily, onForeignChange: () => void): NftWatch | undefined {
  const { listen } = runner;
  if (!listen) return undefined;
  const subject = new RegExp(`^(?:add|insert|replace|delete|create|destroy|flush) \\w+ ${family} ${table.replaceAll('.', '\\.')}(?: |$)`);
  const deletion = `delete table ${family} ${table}`;
  /** Transactions on the table: of the caller, and that the monitor told of. */
  const count = { own: 0, told: 0 };
  let monitor: { end(): void } | undefined;
  /** The monitor has said something, so that it listens. */
  let isLive = false;
  let knownSinceLive = false;
  let foreign = false;
  let underWay = 0;
  let touched = false;
  /** Lines of the transaction that is being told. */
  let lines = 0;
  /** The table was deleted: nft 1.0.6 then says nothing more of the elements of sets that come back under their names. */
  let outdated = false;
  let closed = false;

  const judge = (): void => {
    if (foreign || !knownSinceLive || count.told <= count.own + underWay) return;
    foreign = true;
    onForeignChange();
  };
  const start = (): void => {
    if (closed || monitor) return;
    isLive = knownSinceLive = touched = outdated = false;
    count.own = count.told = lines = 0;
    const mine = listen('nft', ['monitor'], {
      line(text) {
        if (monitor !== mine) return;
        if (!text.startsWith('#')) {
          lines++;
          touched ||= subject.test(text);
          outdated ||= text === deletion;
        } else if (text.startsWith('# new generation')) {
          isLive = true;
          // Of a transaction of which nothing is told, nobody knows what it was on.
          if (touched || lines === 0) count.told++;
          touched = false;
          lines = 0;
          judge();
        } else if (/ERROR/i.test(text)) mine.end();
      },
      ended() {
        if (monitor !== mine) return;
        monitor = undefined;
        knownSinceLive = false;
      },
    });
    monitor = mine;
  };
  const stop = (): void => {
    const ending = monitor;
    monitor = undefined;
    ending?.end();
  };
  start();
  return {
    begin() {
      underWay++;
    },
    end(done) {
      underWay--;
      if (done) count.own++;
      judge();
    },
    reading() {
      if (outdated) stop();
      start();
      // Of a transaction that is under way the monitor may have told already: then the numbers cannot be made even.
      knownSinceLive = isLive && underWay === 0;
      foreign = false;
      // Whatever was done until now is in what is read.
      count.own = count.told;
    },
    isUntouched: () => knownSinceLive && !foreign && count.told === count.own,
    close() {
      closed = true;
      stop();
    },
  };
}
