import { authenticatedGroup, type User } from '../../access.ts';
import { InvalidCredentials } from './authenticator.ts';

/** Whose a token is, and for which of the audiences that were asked about it is good. */
export interface TokenIdentity {
  readonly user: User;
  readonly audiences: readonly string[];
}

/**
 * Tells whose a bearer token is; undefined for a token of another kind. `audiences`: at least one must be the token's.
 * @throws InvalidCredentials for a token of this kind that is not, or no longer, good.
 */
export interface TokenAuthenticator {
  authenticate(token: string, audiences: readonly string[]): Promise<TokenIdentity | undefined>;
}

/** Asks each kind in turn. What is refused by one may be good for another; the last refusal is told when none takes it. */
export function anyToken(authenticators: readonly TokenAuthenticator[]): TokenAuthenticator {
  return {
    async authenticate(token, audiences) {
      let refusal: unknown;
      for (const authenticator of authenticators) {
        try {
          const identity = await authenticator.authenticate(token, audiences);
          if (identity) return { ...identity, user: authenticated(identity.user) };
        } catch (error) {
          if (!(error instanceof InvalidCredentials)) throw error;
          refusal = error;
        }
      }
      if (refusal) throw refusal;
      return undefined;
    },
  };
}

const authenticated = (user: User): User =>
  user.groups.includes(authenticatedGroup) ? user : { ...user, groups: [...user.groups, authenticatedGroup] };
