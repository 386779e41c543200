import type { Deployment, ReplicaSet } from '../../objects/client.ts';
import { rollingLimits, replicasOf } from './limits.ts';

export const revisionAnnotation = 'deployment.kubernetes.io/revision';
const historyAnnotation = 'deployment.kubernetes.io/revision-history';
export const desiredAnnotation = 'deployment.kubernetes.io/desired-replicas';
export const maxAnnotation = 'deployment.kubernetes.io/max-replicas';

const notCopied: readonly string[] = [
  'kubectl.kubernetes.io/last-applied-configuration',
  revisionAnnotation,
  historyAnnotation,
  desiredAnnotation,
  maxAnnotation,
  'deprecated.deployment.rollback.to',
];

export function revisionOf({ metadata }: Deployment | ReplicaSet): number {
  const text = metadata.annotations?.[revisionAnnotation];
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : 0;
}

/** The new replica set's revision: one more than any old one's, so that rolling back to an old template makes it the newest. */
export const nextRevision = (old: readonly ReplicaSet[]): number =>
  old.reduce((most, replicaSet) => Math.max(most, revisionOf(replicaSet)), 0) + 1;

/** Annotations of the new replica set: the deployment's own, the revision, and which revisions it was before. */
export function newReplicaSetAnnotations(
  deployment: Deployment,
  replicaSet: ReplicaSet | undefined,
  revision: number,
): Record<string, string> {
  const before = replicaSet?.metadata.annotations ?? {};
  const copied = Object.fromEntries(Object.entries(deployment.metadata.annotations ?? {}).filter(([key]) => !notCopied.includes(key)));
  const annotations: Record<string, string> = { ...before, ...copied };
  const old = before[revisionAnnotation];
  if (old === undefined || Number(old) < revision) {
    annotations[revisionAnnotation] = String(revision);
    if (old !== undefined) annotations[historyAnnotation] = [before[historyAnnotation], old].filter((text) => text).join(',');
  }
  return annotations;
}

/** What a replica set remembers of the deployment's size, to tell scaling from rolling and to scale in proportion. */
export const sizeAnnotations = (deployment: Deployment): Record<string, string> => ({
  [desiredAnnotation]: String(replicasOf(deployment)),
  [maxAnnotation]: String(replicasOf(deployment) + rollingLimits(deployment).maxSurge),
});
