import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from '../../runtime/log.ts';
import { anonymousUser, type Attributes, type Decision, publicPaths, type User } from '../access.ts';
import { unauthorized } from '../status-errors.ts';
import { attributesOf } from './attributes.ts';
import { type Authenticator, InvalidCredentials } from './authentication/authenticator.ts';
import { accessDenied } from './forbidden.ts';
import { readImpersonation } from './impersonation.ts';
import type { InFlight } from './in-flight.ts';

export interface AccessParts {
  readonly authenticate: Authenticator;
  readonly authorize: (user: User, attributes: Attributes) => Decision;
  readonly inFlight: InFlight;
  readonly log: Logger;
}

/** Who asks, and for what; allowed. */
export interface Admitted {
  readonly user: User;
  readonly attributes: Attributes;
}

/**
 * What every request passes before anything else of the server sees it, its body included:
 *
 *     authenticate -> impersonate -> in-flight limit -> authorize
 */
export interface AccessChain {
  /** @throws StatusError 400, 401, 403, 429. */
  admit(request: IncomingMessage, response: ServerResponse): Promise<Admitted>;
  /** May this user do that? For what is decided within a request: reviews, escalation checks. */
  readonly authorize: (user: User, attributes: Attributes) => Decision;
  /** As authorize, for what a request needs besides what it asks for: a PUT that creates. @throws StatusError 403. */
  require(user: User, attributes: Attributes): void;
}

export function createAccessChain({ authenticate, authorize, inFlight, log }: AccessParts): AccessChain {
  function check(user: User, attributes: Attributes): void {
    const { allowed, reason, told } = authorize(user, attributes);
    if (allowed) return;
    log.debug({ user: user.name, groups: user.groups, attributes, reason }, 'request denied');
    throw accessDenied(user, attributes, told);
  }

  async function identify(request: IncomingMessage): Promise<User> {
    let user: User | undefined;
    try {
      user = await authenticate(request);
    } catch (error) {
      if (!(error instanceof InvalidCredentials)) throw error;
      log.debug({ reason: error.message, url: request.url }, 'credentials refused');
      throw unauthorized();
    }
    if (!user) throw unauthorized();
    const impersonation = readImpersonation(request.headers, request.headersDistinct);
    if (!impersonation) return user;
    for (const attributes of impersonation.needed) check(user, attributes);
    return impersonation.user;
  }

  return {
    authorize,
    require: check,
    async admit(request, response) {
      const url = request.url ?? '/';
      const attributes = attributesOf(request.method ?? 'GET', url);
      // Health and version are told to anybody, also to one whose credentials are wrong: an expired certificate must not hide an outage.
      if (publicPaths.has(url.split('?', 1)[0]!)) return { user: anonymousUser, attributes };
      const user = await identify(request);
      inFlight.enter(user, attributes, response);
      check(user, attributes);
      return { user, attributes };
    },
  };
}
