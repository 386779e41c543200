import type { IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import type { User } from '../../access.ts';

/** What a request brings to say who asks. */
export interface Credentials {
  readonly socket: Socket;
  readonly headers: IncomingHttpHeaders;
}

/**
 * Tells who asks: a user; undefined when the credentials hold nothing that this way of authentication reads.
 * @throws InvalidCredentials when they hold something that is wrong, or no longer right.
 */
export type Authenticator = (credentials: Credentials) => User | undefined | Promise<User | undefined>;

/** Credentials that were given and are not believed. The message says why, for the log alone: strangers are told nothing. */
export class InvalidCredentials extends Error {
  override readonly name = 'InvalidCredentials';
}

/** Asks each way in turn; the first that knows the user counts. Credentials that are wrong in one way are refused whatever the others say. */
export function firstOf(authenticators: readonly Authenticator[]): Authenticator {
  const from = (start: number, credentials: Credentials): User | undefined | Promise<User | undefined> => {
    for (let index = start; index < authenticators.length; index++) {
      const user = authenticators[index]!(credentials);
      if (user instanceof Promise) return user.then((found) => found ?? from(index + 1, credentials));
      if (user) return user;
    }
    return undefined;
  };
  return (credentials) => from(0, credentials);
}
