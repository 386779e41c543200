import { type AnyObject, resources } from '../../objects/index.ts';
import { type Clock, sleep } from '../../runtime/clock.ts';
import type { FindObject } from '../auth/object-lookup.ts';
import { generateName } from '../registry/generated-name.ts';
import { forbidden, type StatusError } from '../status-errors.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';

export interface ServiceAccountParts {
  readonly find: FindObject;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
}

const defaultAccount = 'default';
const mirrorAnnotation = 'kubernetes.io/config.mirror';
const volumePrefix = 'kube-api-access-';
/** Where programs in pods look for their credentials (client-go's rest.InClusterConfig). */
const mountPath = '/var/run/secrets/kubernetes.io/serviceaccount';
/** An hour, and a little, by which the reference tells tokens that it injected from those that were asked for (seconds). */
const tokenLifetime = 3_607;
/** How often, and at what distance (ms), to look again for the default account of a new namespace: a controller makes it a moment later. */
const tries = 10;
const pause = 100;

/**
 * Gives every pod its ServiceAccount, and mounts a token for it (the reference's ServiceAccount admission): the account is `default` unless
 * named, and must exist; the token comes in a projected volume, unless the pod or its account does not want it.
 */
export const serviceAccountAdmission = ({ find, clock, random }: ServiceAccountParts): AdmissionPlugin => ({
  name: 'ServiceAccount',
  async wait({ kind, namespace, object }) {
    if (kind.resource.plural !== 'pods' || !object || isMirror(object) || accountName(object) !== defaultAccount) return;
    for (let attempt = 1; attempt < tries && !find(resources.serviceAccounts, namespace, defaultAccount); attempt++) {
      await sleep(clock, pause * (1 + random()));
    }
  },
  admit(request) {
    const { operation, kind, namespace, subresource, object } = request;
    if (operation !== 'CREATE' || kind.resource.plural !== 'pods' || subresource || !object?.spec) return [];
    if (isMirror(object)) {
      refuseMirror(request, object.spec);
      return [];
    }
    const name = accountName(object);
    object.spec.serviceAccountName = name;
    object.spec.serviceAccount = name;
    const account = find(resources.serviceAccounts, namespace, name)?.parse();
    if (!account) throw refuse(request, `error looking up service account ${namespace}/${name}: serviceaccount "${name}" not found`);
    if (object.spec.automountServiceAccountToken ?? account['automountServiceAccountToken'] ?? true) mountToken(object.spec, random);
    if ((object.spec.imagePullSecrets ?? []).length === 0 && (account['imagePullSecrets'] ?? []).length > 0) {
      object.spec.imagePullSecrets = account['imagePullSecrets'];
    }
    return [];
  },
});

const accountName = ({ spec }: AnyObject): string => spec?.serviceAccountName || spec?.serviceAccount || defaultAccount;

const isMirror = ({ metadata }: AnyObject): boolean => metadata.annotations?.[mirrorAnnotation] !== undefined;

const refuse = ({ kind, name }: AdmissionRequest, why: string): StatusError => forbidden(kind.resource, name, why);

/** A mirror pod shows what a node runs on its own; it can have nothing from the API. */
function refuseMirror(request: AdmissionRequest, spec: NonNullable<AnyObject['spec']>): void {
  if (spec.serviceAccountName) throw refuse(request, 'a mirror pod may not reference service accounts');
  if (referencesSecrets(spec)) throw refuse(request, 'a mirror pod may not reference secrets');
  const volumes: { projected?: { sources?: { serviceAccountToken?: object }[] } }[] = spec.volumes ?? [];
  if (volumes.some(({ projected }) => projected?.sources?.some(({ serviceAccountToken }) => serviceAccountToken))) {
    throw refuse(request, 'a mirror pod may not use ServiceAccountToken volume projections');
  }
}

interface SecretUser {
  env?: { valueFrom?: { secretKeyRef?: object } }[];
  envFrom?: { secretRef?: object }[];
}

function referencesSecrets(spec: NonNullable<AnyObject['spec']>): boolean {
  const containers: SecretUser[] = [...(spec.initContainers ?? []), ...(spec.containers ?? []), ...(spec.ephemeralContainers ?? [])];
  const volumes: { secret?: object; projected?: { sources?: { secret?: object }[] } }[] = spec.volumes ?? [];
  return (
    (spec.imagePullSecrets ?? []).length > 0 ||
    containers.some(
      ({ env = [], envFrom = [] }) => env.some((each) => each.valueFrom?.secretKeyRef) || envFrom.some((each) => each.secretRef),
    ) ||
    volumes.some(({ secret, projected }) => secret || projected?.sources?.some((source) => source.secret))
  );
}

interface Mounting {
  volumeMounts?: { name: string; mountPath: string; readOnly?: boolean }[];
}

function mountToken(spec: NonNullable<AnyObject['spec']>, random: () => number): void {
  // Nothing has been validated yet: a volume may lack its name.
  const volumes: { name?: string }[] = spec.volumes ?? [];
  const standing = volumes.find(({ name }) => name?.startsWith(volumePrefix));
  const name = standing?.name ?? generateName(volumePrefix, random);
  const lacking = [...(spec.initContainers ?? []), ...(spec.containers ?? [])].filter(
    ({ volumeMounts = [] }: Mounting) => !volumeMounts.some((mount) => mount.mountPath === mountPath),
  ) as Mounting[];
  for (const container of lacking) container.volumeMounts = [...(container.volumeMounts ?? []), { name, readOnly: true, mountPath }];
  if (!standing && lacking.length > 0) spec.volumes = [...volumes, { name, projected: tokenSources() }];
}

const tokenSources = (): object => ({
  defaultMode: 0o644,
  sources: [
    { serviceAccountToken: { expirationSeconds: tokenLifetime, path: 'token' } },
    { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
    { downwardAPI: { items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }] } },
  ],
});
