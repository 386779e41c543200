import { type AnyObject, type Resource, resources } from '../../../objects/index.ts';
import { InvalidCredentials } from '../authentication/authenticator.ts';
import type { FindObject } from '../object-lookup.ts';
import { splitServiceAccountName } from '../service-account-names.ts';
import type { KubernetesClaims, ObjectClaim } from './claims.ts';

/** The issuer of tokens without expiry that are kept in Secrets, as kube-controller-manager's token controller makes them. */
export const legacyIssuer = 'kubernetes/serviceaccount';

/** What must still stand as it was seen, for a token to stay good. */
export interface Witness {
  readonly resource: Resource;
  readonly namespace: string;
  readonly name: string;
  readonly revision: number;
}

/** Whose a token is, by what stands in the cluster. */
export interface Holder {
  readonly namespace: string;
  readonly account: ObjectClaim;
  readonly pod?: ObjectClaim;
  readonly node?: ObjectClaim;
  /** Undefined when something of it is going: look again each time. */
  readonly witnesses: readonly Witness[] | undefined;
}

/** Deletions of less than this ago do not count yet, for clocks that differ (ms). */
const leeway = 60_000;

class Look {
  readonly #find: FindObject;
  readonly #now: number;
  readonly witnesses: Witness[] = [];
  going = false;
  constructor(find: FindObject, now: number) {
    this.#find = find;
    this.#now = now;
  }

  /** The object, unless it is gone, or going for longer than the leeway. */
  at(resource: Resource, namespace: string, name: string, gone: string): AnyObject {
    const found = this.#find(resource, namespace, name);
    if (!found) throw new InvalidCredentials(gone);
    const object = found.parse();
    const { deletionTimestamp } = object.metadata;
    if (deletionTimestamp) {
      this.going = true;
      if (Date.parse(deletionTimestamp) < this.#now - leeway) throw new InvalidCredentials(gone);
    }
    this.witnesses.push({ resource, namespace, name, revision: found.revision });
    return object;
  }

  /** As at, of the claim's uid: another object of the same name is not the one that the token is bound to. */
  claimed(resource: Resource, namespace: string, claim: ObjectClaim, gone: string): AnyObject {
    const object = this.at(resource, namespace, claim.name, gone);
    if (object.metadata.uid !== claim.uid) {
      throw new InvalidCredentials(`${resource.kind} UID (${object.metadata.uid}) does not match claim (${claim.uid})`);
    }
    return object;
  }
}

const invalidated = 'Token has been invalidated';

/** Checks that the ServiceAccount and what the token is bound to stand, with the uids of the claims. @throws InvalidCredentials */
export function holderOf(claims: KubernetesClaims, find: FindObject, now: number): Holder {
  const look = new Look(find, now);
  const { namespace, serviceaccount, pod, secret, node } = claims;
  const noAccount = `ServiceAccount ${namespace}/${serviceaccount.name} has been deleted`;
  look.claimed(resources.serviceAccounts, namespace, serviceaccount, noAccount);
  if (secret) look.claimed(resources.secrets, namespace, secret, invalidated);
  if (pod) look.claimed(resources.pods, namespace, pod, invalidated);
  // A pod's token tells its node; it does not die with it before the pod does.
  else if (node) look.claimed(resources.nodes, '', node, invalidated);
  return {
    namespace,
    account: serviceaccount,
    ...(pod ? { pod } : {}),
    ...(node ? { node } : {}),
    witnesses: look.going ? undefined : look.witnesses,
  };
}

/** As {@link holderOf} for a token without expiry: it is good as long as it stands in its Secret. @throws InvalidCredentials */
export function legacyHolder(claims: Readonly<Record<string, unknown>>, token: string, find: FindObject, now: number): Holder {
  const text = (claim: string): string => {
    const value = claims[`kubernetes.io/serviceaccount/${claim}`];
    if (typeof value !== 'string' || value === '') throw new InvalidCredentials(`${claim} claim is missing`);
    return value;
  };
  const [namespace, secretName] = [text('namespace'), text('secret.name')];
  const account = { name: text('service-account.name'), uid: text('service-account.uid') };
  const subject = splitServiceAccountName(String(claims['sub'] ?? ''));
  if (subject?.namespace !== namespace || subject.name !== account.name) throw new InvalidCredentials('sub claim is invalid');
  const look = new Look(find, now);
  const secret = look.at(resources.secrets, namespace, secretName, invalidated);
  if (secret.metadata.deletionTimestamp) throw new InvalidCredentials(invalidated);
  if (Buffer.from(String(secret['data']?.token ?? ''), 'base64').toString('utf8') !== token) {
    throw new InvalidCredentials("Token does not match server's copy");
  }
  look.claimed(resources.serviceAccounts, namespace, account, `ServiceAccount ${namespace}/${account.name} has been deleted`);
  return { namespace, account, witnesses: look.going ? undefined : look.witnesses };
}

/** Whether all that was seen is still as it was, so that there is nothing to check again. */
export const stillStands = (witnesses: readonly Witness[], find: FindObject): boolean =>
  witnesses.every(({ resource, namespace, name, revision }) => find(resource, namespace, name)?.revision === revision);
