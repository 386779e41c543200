import { type Deployment, fromTime, type ReplicaSet, resources } from '../../objects/client.ts';
import type { Action } from '../action.ts';
import { canonicalJson, sameMeaning } from '../equal.ts';
import { byAge, controllerReference, without } from '../metadata.ts';
import { podTemplateHash, podTemplateHashLabel } from './hash.ts';
import { isRolling, replicasOf, rollingLimits, sum } from './limits.ts';
import { newReplicaSetAnnotations, sizeAnnotations } from './revision.ts';

/** A deployment's replica sets, sorted by role. */
export interface Sets {
  /** The one with the deployment's present template. */
  readonly fresh: ReplicaSet | undefined;
  /** Oldest first. */
  readonly old: readonly ReplicaSet[];
  readonly all: readonly ReplicaSet[];
}

/** The oldest replica set with the present template is the new one, as in the reference. */
export function sortSets(deployment: Deployment, owned: readonly ReplicaSet[]): Sets {
  const all = [...owned].sort(byAge);
  const wanted = templateText(deployment.spec.template);
  const fresh = all.find((replicaSet) => templateText(replicaSet.spec.template) === wanted);
  return { fresh, old: all.filter((replicaSet) => replicaSet !== fresh), all };
}

/** The template without what the controller itself adds to a replica set's. */
const templateText = (template: ReplicaSet['spec']['template']): string =>
  canonicalJson({ ...template, metadata: { ...template?.metadata, labels: without(template?.metadata?.labels, podTemplateHashLabel) } });

/** How many replicas the new replica set may have now (NewRSNewReplicas). */
export function allowedNewReplicas(deployment: Deployment, sets: Sets): number {
  const wanted = replicasOf(deployment);
  if (!isRolling(deployment)) return wanted;
  const current = sets.fresh ? replicasOf(sets.fresh) : 0;
  const room = wanted + rollingLimits(deployment).maxSurge - sum(sets.all, replicasOf);
  return room <= 0 ? current : current + Math.min(room, wanted - current);
}

/** The new replica set as it is to be made. */
export function newReplicaSet(deployment: Deployment, sets: Sets, revision: number): ReplicaSet {
  const { template, selector, minReadySeconds } = deployment.spec;
  const hash = podTemplateHash(template, deployment.status?.collisionCount);
  const labels = { ...template.metadata?.labels, [podTemplateHashLabel]: hash };
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${deployment.metadata.name}-${hash}`,
      namespace: deployment.metadata.namespace ?? 'default',
      labels,
      annotations: { ...newReplicaSetAnnotations(deployment, undefined, revision), ...sizeAnnotations(deployment) },
      ownerReferences: [controllerReference({ ...deployment, apiVersion: 'apps/v1', kind: 'Deployment' })],
    },
    spec: {
      replicas: allowedNewReplicas(deployment, sets),
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [podTemplateHashLabel]: hash } },
      template: { ...template, metadata: { ...template.metadata, labels } },
      ...(minReadySeconds ? { minReadySeconds } : {}),
    },
  };
}

/** What is wrong with the new replica set's metadata and minReadySeconds as it stands; undefined when nothing is. */
export function refreshNewReplicaSet(deployment: Deployment, fresh: ReplicaSet, revision: number): Action | undefined {
  const annotations = newReplicaSetAnnotations(deployment, fresh, revision);
  const minReadySeconds = deployment.spec.minReadySeconds ?? 0;
  if (sameMeaning(annotations, fresh.metadata.annotations) && minReadySeconds === (fresh.spec.minReadySeconds ?? 0)) return undefined;
  return {
    do: 'patch',
    resource: resources.replicaSets,
    object: fresh,
    patch: { metadata: { uid: fresh.metadata.uid, annotations }, spec: { minReadySeconds } },
  };
}

/** Sets a replica set's size and what it remembers of the deployment's; undefined when both stand. */
export function scaleAction(deployment: Deployment, replicaSet: ReplicaSet, replicas: number): Action | undefined {
  const before = replicasOf(replicaSet);
  const annotations = sizeAnnotations(deployment);
  const remembered = Object.entries(annotations).every(([key, value]) => replicaSet.metadata.annotations?.[key] === value);
  if (before === replicas && remembered) return undefined;
  const action: Action = {
    do: 'patch',
    resource: resources.replicaSets,
    object: replicaSet,
    patch: { metadata: { uid: replicaSet.metadata.uid, annotations }, spec: { replicas } },
  };
  return before === replicas ? action : { ...action, success: scaledEvent(deployment, replicaSet.metadata.name, before, replicas) };
}

export const scaledEvent = (deployment: Deployment, name: string, from: number, to: number) =>
  ({
    regarding: deployment,
    type: 'Normal',
    reason: 'ScalingReplicaSet',
    message: `Scaled ${from < to ? 'up' : 'down'} replica set ${name} from ${from} to ${to}`,
  }) as const;

/** Deletes the oldest revisions beyond revisionHistoryLimit, of those that have no pods and are settled. */
export function cleanUpHistory(
  deployment: Deployment,
  old: readonly ReplicaSet[],
  revisionOf: (replicaSet: ReplicaSet) => number,
): Action[] {
  const limit = deployment.spec.revisionHistoryLimit ?? 10;
  const kept = old.filter(({ metadata }) => !metadata.deletionTimestamp);
  const byRevision = [...kept].sort(
    (a, b) => revisionOf(a) - revisionOf(b) || fromTime(a.metadata.creationTimestamp) - fromTime(b.metadata.creationTimestamp),
  );
  return byRevision
    .slice(0, Math.max(0, kept.length - limit))
    .filter(
      ({ metadata, spec, status }) =>
        spec.replicas === 0 && !status?.replicas && (metadata.generation ?? 0) <= (status?.observedGeneration ?? 0),
    )
    .map((replicaSet) => ({ do: 'delete', resource: resources.replicaSets, object: replicaSet, propagationPolicy: 'Background' }));
}
