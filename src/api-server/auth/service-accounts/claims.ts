import type { AnyObject } from '../../../objects/index.ts';
import { serviceAccountUserName } from '../service-account-names.ts';

/** An object that a token stands for, and dies with. */
export interface ObjectClaim {
  readonly name: string;
  readonly uid: string;
}

/** The claim `kubernetes.io` of a token. */
export interface KubernetesClaims {
  readonly namespace: string;
  readonly serviceaccount: ObjectClaim;
  readonly pod?: ObjectClaim;
  readonly secret?: ObjectClaim;
  readonly node?: ObjectClaim;
}

/** Registered claims (RFC 7519) and ours. Times in seconds since the epoch. */
export interface TokenClaims {
  readonly iss: string;
  readonly sub: string;
  readonly aud: readonly string[];
  readonly exp: number;
  readonly iat: number;
  readonly nbf: number;
  readonly jti: string;
  readonly 'kubernetes.io': KubernetesClaims;
}

/** What a token is bound to; a Pod brings the node that it is on. */
export interface BoundObjects {
  readonly pod?: AnyObject;
  readonly secret?: AnyObject;
  readonly node?: AnyObject;
}

export interface TokenWish {
  readonly issuer: string;
  readonly account: AnyObject;
  readonly bound: BoundObjects;
  readonly audiences: readonly string[];
  readonly lifetimeSeconds: number;
  /** Unique for ever. */
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

const claimOf = ({ metadata }: AnyObject): ObjectClaim => ({ name: metadata.name, uid: metadata.uid ?? '' });

/** The claims of a new token, as the reference issues them. */
export function tokenClaims({ issuer, account, bound, audiences, lifetimeSeconds, id, now }: TokenWish): TokenClaims {
  const seconds = Math.floor(now / 1_000);
  const { name, namespace = '' } = account.metadata;
  return {
    aud: audiences,
    exp: seconds + lifetimeSeconds,
    iat: seconds,
    iss: issuer,
    jti: id,
    'kubernetes.io': {
      namespace,
      ...(bound.node ? { node: claimOf(bound.node) } : {}),
      ...(bound.pod ? { pod: claimOf(bound.pod) } : {}),
      ...(bound.secret ? { secret: claimOf(bound.secret) } : {}),
      serviceaccount: claimOf(account),
    },
    nbf: seconds,
    sub: serviceAccountUserName(namespace, name),
  };
}
