import { logTime } from './cri-log.ts';

/** What of a container's log is asked for (core/v1 PodLogOptions). */
export interface LogOptions {
  readonly follow: boolean;
  readonly previous: boolean;
  readonly timestamps: boolean;
  /** The last lines alone; undefined for all. */
  readonly tailLines: number | undefined;
  readonly limitBytes: number | undefined;
  /** Lines of this time and later, as log times are written; '' for all. */
  readonly since: string;
}

/** A parameter that is not as PodLogOptions has it. */
export class LogOptionsError extends Error {}

/** Reads the query of /containerLogs. `now` in ms since the epoch. @throws LogOptionsError */
export function parseLogOptions(query: URLSearchParams, now: number): LogOptions {
  const number = (name: string, least: number): number | undefined => {
    const text = query.get(name);
    if (text === null || text === '') return undefined;
    const value = Number(text);
    if (!/^[+-]?\d{1,18}$/.test(text) || value < least)
      throw new LogOptionsError(`${name}: ${JSON.stringify(text)} is not a number from ${least} on`);
    return value;
  };
  const flag = (name: string): boolean => {
    const text = query.get(name);
    return text !== null && !['0', 'false', 'f', 'F', 'FALSE', 'False'].includes(text);
  };
  const sinceSeconds = number('sinceSeconds', 1);
  const sinceTime = query.get('sinceTime') || undefined;
  if (sinceSeconds !== undefined && sinceTime !== undefined)
    throw new LogOptionsError('at most one of sinceTime and sinceSeconds may be specified');
  const moment = sinceTime === undefined ? undefined : Date.parse(sinceTime);
  if (Number.isNaN(moment)) throw new LogOptionsError(`sinceTime: ${JSON.stringify(sinceTime)} is not a time (RFC 3339)`);
  const since = sinceSeconds === undefined ? moment : Math.max(0, now - sinceSeconds * 1_000);
  return {
    follow: flag('follow'),
    previous: flag('previous'),
    timestamps: flag('timestamps'),
    tailLines: number('tailLines', 0),
    limitBytes: number('limitBytes', 1),
    since: since === undefined ? '' : logTime(since),
  };
}
