import { type AnyObject, type Resource, resources, type StatusCause } from '../../../objects/index.ts';
import { badRequest, conflict, invalid, notFound } from '../../status-errors.ts';
import type { FindObject } from '../object-lookup.ts';
import { type BoundObjects, tokenClaims } from './claims.ts';
import type { SigningKey } from './keys.ts';
import { signToken } from './tokens.ts';

export interface TokenIssuer {
  /** The claim `iss`. */
  readonly name: string;
  readonly key: SigningKey;
  readonly apiAudiences: readonly string[];
  /** 0: no limit. */
  readonly maxExpirationSeconds: number;
  readonly newId: () => string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export const tokenRequestResource: Resource = {
  group: 'authentication.k8s.io',
  version: 'v1',
  plural: 'tokenrequests',
  kind: 'TokenRequest',
  namespaced: true,
};

const shortest = 10 * 60;
const longest = 2 ** 32;
const usual = 60 * 60;

interface TokenRequestSpec {
  readonly audiences?: readonly string[];
  readonly boundObjectRef?: { readonly kind?: string; readonly apiVersion?: string; readonly name?: string; readonly uid?: string };
  readonly expirationSeconds?: number;
}

/**
 * Issues a token for a ServiceAccount (the reference's serviceaccounts/token): `request` is a TokenRequest that has passed the schema.
 * @returns the TokenRequest with its status. @throws StatusError 400, 404, 409, 422.
 */
export async function issueToken(
  request: AnyObject,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  issuer: TokenIssuer,
  find: FindObject,
): Promise<AnyObject> {
  const spec = (request.spec ?? {}) as TokenRequestSpec;
  const asked = spec.expirationSeconds ?? usual;
  const causes = checkExpiration(asked);
  if (causes.length > 0) throw invalid({ resource: tokenRequestResource }, '', causes);
  const { metadata } = request;
  if (metadata.name && metadata.name !== name) {
    throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`);
  }
  if (metadata.namespace && metadata.namespace !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  const account = find(resources.serviceAccounts, namespace, name)?.parse();
  if (!account) throw notFound(resources.serviceAccounts, name);
  const bound = spec.boundObjectRef ? findBound(spec.boundObjectRef, namespace, name, find) : {};
  const audiences = spec.audiences && spec.audiences.length > 0 ? spec.audiences : issuer.apiAudiences;
  const lifetimeSeconds = issuer.maxExpirationSeconds > 0 ? Math.min(asked, issuer.maxExpirationSeconds) : asked;
  const now = issuer.now();
  const claims = tokenClaims({ issuer: issuer.name, account, bound, audiences, lifetimeSeconds, id: issuer.newId(), now });
  return {
    kind: 'TokenRequest',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: {
      name,
      namespace,
      creationTimestamp: new Date(now).toISOString().replace(/\.\d+Z$/, 'Z'),
    } as AnyObject['metadata'],
    spec: { audiences, expirationSeconds: lifetimeSeconds, boundObjectRef: spec.boundObjectRef ?? null },
    status: {
      token: await signToken(claims, issuer.key),
      expirationTimestamp: new Date(claims.exp * 1_000).toISOString().replace(/\.\d+Z$/, 'Z'),
    },
  };
}

function checkExpiration(seconds: number): StatusCause[] {
  const cause = (text: string): StatusCause => ({
    reason: 'FieldValueInvalid',
    message: `Invalid value: ${seconds}: ${text}`,
    field: 'spec.expirationSeconds',
  });
  return [
    ...(seconds < shortest ? [cause('may not specify a duration less than 10 minutes')] : []),
    ...(seconds > longest ? [cause('may not specify a duration larger than 2^32 seconds')] : []),
  ];
}

function findBound(
  ref: NonNullable<TokenRequestSpec['boundObjectRef']>,
  namespace: string,
  account: string,
  find: FindObject,
): BoundObjects {
  const { kind = '', apiVersion = '', name = '', uid } = ref;
  const kinds: Readonly<Record<string, Resource>> = { Pod: resources.pods, Secret: resources.secrets, Node: resources.nodes };
  const resource = apiVersion === 'v1' && Object.hasOwn(kinds, kind) ? kinds[kind] : undefined;
  if (!resource) {
    const groupVersion = apiVersion.includes('/') ? apiVersion : `/${apiVersion}`;
    throw badRequest(`cannot bind token to object of type ${groupVersion}, Kind=${kind}`);
  }
  const object = find(resource, resource.namespaced ? namespace : '', name)?.parse();
  if (!object) throw notFound(resource, name);
  if (kind === 'Pod' && (object.spec?.serviceAccountName || 'default') !== account) {
    throw badRequest(`cannot bind token for serviceaccount "${account}" to pod running with different serviceaccount name.`);
  }
  if (uid && uid !== object.metadata.uid) {
    const why = `the UID in the bound object reference (${uid}) does not match the UID in record. The object might have been deleted and then recreated`;
    throw conflict({ ...resource, plural: kind }, name, why);
  }
  if (kind === 'Secret') return { secret: object };
  if (kind === 'Node') return { node: object };
  const node = object.spec?.nodeName ? find(resources.nodes, '', object.spec.nodeName)?.parse() : undefined;
  return { pod: object, ...(node ? { node } : {}) };
}
