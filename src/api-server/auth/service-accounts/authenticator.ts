import type { User } from '../../access.ts';
import { InvalidCredentials } from '../authentication/authenticator.ts';
import type { TokenAuthenticator } from '../authentication/token.ts';
import type { FindObject } from '../object-lookup.ts';
import { serviceAccountGroups, serviceAccountUserName } from '../service-account-names.ts';
import type { KubernetesClaims, ObjectClaim } from './claims.ts';
import type { VerificationKey } from './keys.ts';
import { type Holder, holderOf, legacyHolder, legacyIssuer, stillStands } from './standing.ts';
import { peekClaims, verifySignature } from './tokens.ts';

export interface ServiceAccountTokenParts {
  readonly issuers: readonly string[];
  readonly keys: readonly VerificationKey[];
  /** What a token without an audience is good for. */
  readonly apiAudiences: readonly string[];
  readonly find: FindObject;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

type Claims = Readonly<Record<string, unknown>>;

/** Tokens whose signature has been verified. The oldest go first. */
const mostKnown = 2_000;

interface Known {
  readonly claims: Claims;
  /** Who it was when last looked at. */
  standing?: { readonly user: User; readonly holder: Holder };
}

/**
 * Tokens of ServiceAccounts: signed by one of the keys, not expired, for one of the audiences, their account and what they are bound to
 * still there. The signature of a token is verified once; all else at each request, since it changes.
 */
export function serviceAccountAuthenticator({ issuers, keys, apiAudiences, find, now }: ServiceAccountTokenParts): TokenAuthenticator {
  const known = new Map<string, Known>();

  async function verified(token: string): Promise<Known> {
    const before = known.get(token);
    if (before) return before;
    const entry: Known = { claims: await verifySignature(token, keys) };
    if (known.size >= mostKnown) known.delete(known.keys().next().value!);
    known.set(token, entry);
    return entry;
  }

  return {
    async authenticate(token, audiences) {
      const issuer = peekClaims(token)?.['iss'];
      if (typeof issuer !== 'string' || (issuer !== legacyIssuer && !issuers.includes(issuer))) return undefined;
      const entry = await verified(token);
      const { claims } = entry;
      checkTimes(claims, now());
      const good = goodAudiences(claims, audiences, apiAudiences);
      if (!(entry.standing?.holder.witnesses && stillStands(entry.standing.holder.witnesses, find))) {
        const holder = issuer === legacyIssuer ? legacyHolder(claims, token, find, now()) : holderOf(kubernetesClaims(claims), find, now());
        entry.standing = { holder, user: userOf(holder, claims['jti']) };
      }
      return { user: entry.standing.user, audiences: good };
    },
  };
}

function checkTimes({ exp, nbf }: Claims, now: number): void {
  if (exp !== undefined && !(typeof exp === 'number' && exp * 1_000 > now)) throw new InvalidCredentials('Token has expired.');
  if (nbf !== undefined && !(typeof nbf === 'number' && nbf * 1_000 <= now + 60_000))
    throw new InvalidCredentials('Token is not valid yet.');
}

/** The audiences asked about that are the token's. */
function goodAudiences({ aud, iss }: Claims, asked: readonly string[], apiAudiences: readonly string[]): readonly string[] {
  const own = typeof aud === 'string' ? [aud] : Array.isArray(aud) ? (aud as unknown[]).map(String) : [];
  // Tokens from before there were audiences are good for the API server.
  const audiences = own.length === 0 && iss === legacyIssuer ? apiAudiences : own;
  const good = asked.filter((audience) => audiences.includes(audience));
  if (good.length === 0) {
    throw new InvalidCredentials(
      `token audiences ${JSON.stringify(audiences)} is invalid for the target audiences ${JSON.stringify(asked)}`,
    );
  }
  return good;
}

/** The claims in the form they must have: signed they are by us, but an older or newer server may have signed them. */
function kubernetesClaims({ sub, 'kubernetes.io': value }: Claims): KubernetesClaims {
  const fields = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const claim = (field: string): ObjectClaim | undefined => {
    const { name, uid } = (fields[field] ?? {}) as { name?: unknown; uid?: unknown };
    return typeof name === 'string' && typeof uid === 'string' ? { name, uid } : undefined;
  };
  const { namespace } = fields;
  const serviceaccount = claim('serviceaccount');
  if (typeof namespace !== 'string' || !serviceaccount || sub !== serviceAccountUserName(namespace, serviceaccount.name)) {
    throw new InvalidCredentials('the token does not say which ServiceAccount it is of');
  }
  const [pod, secret, node] = [claim('pod'), claim('secret'), claim('node')];
  return { namespace, serviceaccount, ...(pod ? { pod } : {}), ...(secret ? { secret } : {}), ...(node ? { node } : {}) };
}

const extraPrefix = 'authentication.kubernetes.io';

function userOf({ namespace, account, pod, node }: Holder, id: unknown): User {
  const extra: Record<string, readonly string[]> = {
    ...(typeof id === 'string' ? { [`${extraPrefix}/credential-id`]: [`JTI=${id}`] } : {}),
    ...(node ? { [`${extraPrefix}/node-name`]: [node.name], [`${extraPrefix}/node-uid`]: [node.uid] } : {}),
    ...(pod ? { [`${extraPrefix}/pod-name`]: [pod.name], [`${extraPrefix}/pod-uid`]: [pod.uid] } : {}),
  };
  return {
    name: serviceAccountUserName(namespace, account.name),
    uid: account.uid,
    groups: serviceAccountGroups(namespace),
    ...(Object.keys(extra).length > 0 ? { extra } : {}),
  };
}
