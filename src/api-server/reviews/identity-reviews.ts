import type { AnyObject } from '../../objects/index.ts';
import type { User } from '../access.ts';
import { InvalidCredentials } from '../auth/authentication/authenticator.ts';
import type { TokenAuthenticator } from '../auth/authentication/token.ts';
import { badRequest } from '../status-errors.ts';

/** A user as the API shows it (authentication.k8s.io UserInfo). */
const userInfo = ({ name, uid, groups, extra = {} }: User): object => ({
  username: name,
  ...(uid ? { uid } : {}),
  ...(groups.length > 0 ? { groups } : {}),
  ...(Object.keys(extra).length > 0 ? { extra } : {}),
});

/** Who am I? (`kubectl auth whoami`) */
export const selfSubjectReview = (review: AnyObject, user: User): AnyObject => ({ ...review, status: { userInfo: userInfo(user) } });

/**
 * Whose is this token? (authentication.k8s.io TokenReview, as kubelets and extension servers ask it)
 * @throws StatusError 400 without a token.
 */
export async function tokenReview(review: AnyObject, tokens: TokenAuthenticator, apiAudiences: readonly string[]): Promise<AnyObject> {
  const { token = '', audiences = [] } = (review.spec ?? {}) as { token?: string; audiences?: string[] };
  if (token === '') throw badRequest('token is required for TokenReview in authentication');
  const asked = audiences.length > 0 ? audiences : apiAudiences;
  try {
    const identity = await tokens.authenticate(token, asked);
    if (!identity) return { ...review, status: { error: 'invalid bearer token', user: {} } };
    return { ...review, status: { authenticated: true, user: userInfo(identity.user), audiences: identity.audiences } };
  } catch (error) {
    if (!(error instanceof InvalidCredentials)) throw error;
    return { ...review, status: { error: `[invalid bearer token, ${error.message}]`, user: {} } };
  }
}
