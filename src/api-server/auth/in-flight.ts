import type { ServerResponse } from 'node:http';
import { type Attributes, mastersGroup, type User } from '../access.ts';
import { StatusError } from '../status-errors.ts';

export interface InFlightLimits {
  /** Reads under way at once; 0 is no limit. */
  readonly maxRequests: number;
  /** Writes under way at once; 0 is no limit. */
  readonly maxMutatingRequests: number;
}

export interface InFlight {
  /** Counts the request until its answer is closed. @throws StatusError 429 when there are too many. */
  enter(user: User, attributes: Attributes, response: ServerResponse): void;
  readonly reading: number;
  readonly mutating: number;
}

const readVerbs: ReadonlySet<string> = new Set(['get', 'list', 'watch']);
const longSubresources: ReadonlySet<string> = new Set(['attach', 'exec', 'proxy', 'log', 'portforward']);

/** Requests that last as long as the client likes; they are not counted. */
const isLongRunning = (attributes: Attributes): boolean =>
  attributes.isResource && (attributes.verb === 'watch' || attributes.verb === 'proxy' || longSubresources.has(attributes.subresource));

const tooMany = (): StatusError =>
  new StatusError(
    {
      code: 429,
      reason: 'TooManyRequests',
      message: 'Too many requests, please try again later.',
      details: { retryAfterSeconds: 1 },
    },
    { 'retry-after': '1' },
  );

/** Bounds the requests under way, reads and writes apart, so that neither starves the other. Administrators always get in. */
export function createInFlight({ maxRequests, maxMutatingRequests }: InFlightLimits): InFlight {
  const counts = { reading: 0, mutating: 0 };
  return {
    get reading() {
      return counts.reading;
    },
    get mutating() {
      return counts.mutating;
    },
    enter(user, attributes, response) {
      if (isLongRunning(attributes)) return;
      const side = readVerbs.has(attributes.verb) ? 'reading' : 'mutating';
      const most = side === 'reading' ? maxRequests : maxMutatingRequests;
      if (most > 0 && counts[side] >= most && !user.groups.includes(mastersGroup)) throw tooMany();
      counts[side]++;
      response.once('close', () => counts[side]--);
    },
  };
}
