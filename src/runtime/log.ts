import { pino } from 'pino';

export type { Logger } from 'pino';

export interface LogOptions {
  /** fatal, error, warn, info, debug or trace. */
  readonly level?: string;
  /** Name of the daemon, on every line as `name`. */
  readonly name: string;
}

/** A structured logger, one JSON object a line on standard error (standard output is for results). */
export const createLogger = ({ level = 'info', name }: LogOptions) =>
  pino({ level, name, base: { name }, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ dest: 2, sync: true }));

/** A logger that writes nothing, for tests. */
export const silentLogger = () => pino({ level: 'silent' });
