import { type KubeObject, objectKey, resources } from '../../objects/client.ts';
import { type Controller, nothing, type Outcome, watch } from '../controller.ts';
import { isDeleting } from '../metadata.ts';
import type { ClusterView } from '../view.ts';

/** Makes a JWT in compact form of the claims. */
export type TokenSigner = (claims: Readonly<Record<string, string>>) => string;

export interface ServiceAccountTokenOptions {
  readonly sign: TokenSigner;
  /** PEM of the cluster's certificate authority, put beside the token; undefined puts none. */
  readonly certificate: string | undefined;
}

interface Secret extends KubeObject {
  readonly type?: string;
  readonly data?: Readonly<Record<string, string>>;
}

const tokenType = 'kubernetes.io/service-account-token';
const nameAnnotation = 'kubernetes.io/service-account.name';
const uidAnnotation = 'kubernetes.io/service-account.uid';

const isToken = (object: KubeObject | undefined): object is Secret => (object as Secret | undefined)?.type === tokenType;
const accountKey = ({ metadata }: Secret): string => `${metadata.namespace}/${metadata.annotations?.[nameAnnotation] ?? ''}`;

/**
 * Fills Secrets of type kubernetes.io/service-account-token with a token that lasts as long as they do, and deletes those whose ServiceAccount is
 * gone. (Pods get tokens that end with them, by TokenRequest; these are for what lives outside the cluster.)
 */
export const serviceAccountTokenController = (options: ServiceAccountTokenOptions): Controller => ({
  name: 'serviceaccount_tokens',
  component: 'tokens-controller',
  workers: 4,
  watches: [
    watch(resources.secrets, (_before, after) => (isToken(after) ? [objectKey(after)] : [])),
    watch(resources.serviceAccounts, (before, after, view) => {
      const { namespace, name, uid } = (after ?? before)!.metadata;
      if (before && after && before.metadata.uid === uid) return [];
      return view
        .list(resources.secrets, namespace)
        .filter((secret) => isToken(secret) && accountKey(secret) === `${namespace}/${name}`)
        .map(objectKey);
    }),
  ],
  reconcile(key, view) {
    const secret = view.get(resources.secrets, key);
    return isToken(secret) && !isDeleting(secret) ? reconcileSecret(secret, options, view) : nothing;
  },
});

function reconcileSecret(secret: Secret, { sign, certificate }: ServiceAccountTokenOptions, view: ClusterView): Outcome {
  const { name, namespace = 'default', uid, resourceVersion, annotations } = secret.metadata;
  const accountName = annotations?.[nameAnnotation];
  if (!accountName) return nothing;
  const account = view.get(resources.serviceAccounts, accountKey(secret));
  const claimed = annotations?.[uidAnnotation];
  if (!account || (claimed && claimed !== account.metadata.uid)) {
    // A Secret that names nobody yet may have been made a moment before its account: only the API server can tell.
    const guard = {
      is: 'absent',
      resource: resources.serviceAccounts,
      namespace,
      name: accountName,
      ...(claimed ? { uid: claimed } : {}),
    } as const;
    return { actions: [{ do: 'delete', resource: resources.secrets, object: secret, guards: [guard] }] };
  }
  const accountUid = account.metadata.uid ?? '';
  const data: Record<string, string> = {};
  if (!secret.data?.['token']) {
    const claim = 'kubernetes.io/serviceaccount';
    const token = sign({
      iss: 'kubernetes/serviceaccount',
      [`${claim}/namespace`]: namespace,
      [`${claim}/secret.name`]: name,
      [`${claim}/service-account.name`]: accountName,
      [`${claim}/service-account.uid`]: accountUid,
      sub: `system:serviceaccount:${namespace}:${accountName}`,
    });
    data['token'] = toBase64(token);
  }
  if (!secret.data?.['namespace']) data['namespace'] = toBase64(namespace);
  if (certificate !== undefined && secret.data?.['ca.crt'] !== toBase64(certificate)) data['ca.crt'] = toBase64(certificate);
  if (Object.keys(data).length === 0 && claimed) return nothing;
  const patch = { metadata: { uid, resourceVersion, annotations: { [uidAnnotation]: accountUid } }, data };
  return { actions: [{ do: 'patch', resource: resources.secrets, object: secret, patch }] };
}

const toBase64 = (text: string): string => Buffer.from(text).toString('base64');
