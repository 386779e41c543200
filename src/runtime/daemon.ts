import type { Registry } from 'prom-client';
import type { Clock } from './clock.ts';
import type { Health } from './health.ts';
import type { Logger } from './log.ts';
import type { PortAnswer } from './port-servers.ts';

/** What every daemon is given: nothing of this is global. */
export interface DaemonContext {
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: Registry;
  readonly health: Health;
  /** What the daemon's health server answers instead of its own, by path; the daemon may fill it. */
  readonly answers?: Map<string, () => PortAnswer>;
}

/** A running daemon. */
export interface Daemon {
  /** Stops its loops and closes its sockets. Leaves what it wrote in the kernel, so that traffic goes on over a restart. */
  stop(): Promise<void>;
}

/** A daemon of a node, which also reports to the control API. */
export interface NodeDaemon<Report> extends Daemon {
  /** A snapshot of its state as plain JSON-able data, cheap enough to be asked every second. */
  report(): Report;
}
