import { type Deployment, objectKey, type ReplicaSet, resources } from '../../objects/client.ts';
import type { Action } from '../action.ts';
import { claim } from '../claim.ts';
import { type Controller, nothing, type Outcome, watch } from '../controller.ts';
import { adopters, controllerKeys, controllerOf, isDeleting } from '../metadata.ts';
import type { ClusterView } from '../view.ts';
import { isRolling } from './limits.ts';
import { cleanUpHistory, newReplicaSet, refreshNewReplicaSet, type Sets, scaledEvent, sortSets } from './replica-sets.ts';
import { nextRevision, revisionAnnotation, revisionOf } from './revision.ts';
import { oldPodsRunning, rollingStep, scaleToZero } from './rollout.ts';
import { isScalingEvent, scaleSets } from './scale.ts';
import { deploymentStatus, isComplete, type ProgressNote, statusPatch, untilDeadline } from './status.ts';

/** Rolls each Deployment out over its ReplicaSets, one small step a turn; the status of what a step did brings the next. */
export const deploymentController: Controller = {
  name: 'deployment',
  component: 'deployment-controller',
  workers: 8,
  watches: [
    watch(resources.deployments, (before, after) => [objectKey((after ?? before)!)]),
    watch(resources.replicaSets, (before, after, view) => [
      ...controllerKeys('Deployment', before, after),
      ...adopters(after, view.list(resources.deployments, after?.metadata.namespace)),
    ]),
    // Recreate waits until the last old pod is gone.
    watch(resources.pods, (before, after, view) =>
      before && !after ? deploymentOfPod(controllerOf(before)?.uid, before.metadata.namespace, view) : [],
    ),
  ],
  reconcile(key, view) {
    const deployment = view.get(resources.deployments, key);
    return deployment ? reconcileDeployment(deployment, view) : nothing;
  },
};

function deploymentOfPod(replicaSetUid: string | undefined, namespace: string | undefined, view: ClusterView): Iterable<string> {
  const replicaSet = view.list(resources.replicaSets, namespace).find(({ metadata }) => metadata.uid === replicaSetUid);
  return controllerKeys('Deployment', replicaSet);
}

function reconcileDeployment(deployment: Deployment, view: ClusterView): Outcome {
  const { selector } = deployment.spec;
  if (!selector.matchExpressions?.length && Object.keys(selector.matchLabels ?? {}).length === 0) return selectsAll(deployment);
  const uid = deployment.metadata.uid ?? '';
  const orphans = view.owned(resources.replicaSets, '').filter(({ metadata }) => metadata.namespace === deployment.metadata.namespace);
  const { owned, actions: claims } = claim(deployment, resources.deployments, selector, resources.replicaSets, [
    ...view.owned(resources.replicaSets, uid),
    ...orphans,
  ]);
  if (claims.length > 0) return { actions: claims };
  const sets = sortSets(deployment, owned);
  const step = isDeleting(deployment) ? { actions: [] } : nextStep(deployment, sets, view);
  return withStatus(deployment, sets, step, view.now);
}

interface Step {
  readonly actions: readonly Action[];
  /** The deployment's revision after this step. */
  readonly revision?: number;
  readonly note?: ProgressNote;
  readonly collided?: boolean;
}

function nextStep(deployment: Deployment, sets: Sets, view: ClusterView): Step {
  const revision = Math.max(nextRevision(sets.old), sets.fresh ? revisionOf(sets.fresh) : 0);
  if (deployment.spec.paused) {
    const actions = scaleSets(deployment, sets);
    return sets.fresh ? { actions: [...actions, ...refresh(deployment, sets.fresh, revision)], revision } : { actions };
  }
  const scaling = isScalingEvent(deployment, sets) ? scaleSets(deployment, sets) : [];
  if (scaling.length > 0) return { actions: scaling };
  if (!isRolling(deployment)) {
    const stop = scaleToZero(deployment, sets.old);
    if (stop.length > 0) return { actions: stop };
    if (oldPodsRunning(sets.old, ({ metadata }) => view.owned(resources.pods, metadata.uid ?? ''))) return { actions: [] };
  }
  if (!sets.fresh) return createStep(deployment, sets, revision, view);
  const fresh = { ...sets, fresh: sets.fresh };
  const cleanUp = isComplete(deployment, deployment.status ?? {}) ? cleanUpHistory(deployment, sets.old, revisionOf) : [];
  const note: ProgressNote = { reason: 'FoundNewReplicaSet', name: sets.fresh.metadata.name };
  return { actions: [...refresh(deployment, sets.fresh, revision), ...rollingStep(deployment, fresh), ...cleanUp], revision, note };
}

function refresh(deployment: Deployment, fresh: ReplicaSet, revision: number): Action[] {
  const action = refreshNewReplicaSet(deployment, fresh, revision);
  return action ? [action] : [];
}

function createStep(deployment: Deployment, sets: Sets, revision: number, view: ClusterView): Step {
  const made = newReplicaSet(deployment, sets, revision);
  // Somebody else has that name, or ours with this hash has another template: the next hash is another.
  if (view.get(resources.replicaSets, objectKey(made))) return { actions: [], collided: true };
  const replicas = made.spec.replicas ?? 0;
  const success = replicas > 0 ? { success: scaledEvent(deployment, made.metadata.name, 0, replicas) } : {};
  const failure = {
    regarding: deployment,
    type: 'Warning',
    reason: 'ReplicaSetCreateError',
    message: `Failed to create new replica set ${JSON.stringify(made.metadata.name)}: {error}`,
  } as const;
  const create: Action = { do: 'create', resource: resources.replicaSets, object: made, failure, ...success };
  return { actions: [create], revision, note: { reason: 'NewReplicaSetCreated', name: made.metadata.name } };
}

function withStatus(deployment: Deployment, sets: Sets, step: Step, now: number): Outcome {
  const actions: Action[] = [...step.actions];
  if (step.revision !== undefined && revisionOf(deployment) !== step.revision) {
    const metadata = { uid: deployment.metadata.uid, annotations: { [revisionAnnotation]: String(step.revision) } };
    actions.push({ do: 'patch', resource: resources.deployments, object: deployment, patch: { metadata } });
  }
  const computed = deploymentStatus(deployment, sets, step.note, now);
  const status = step.collided ? { ...computed, collisionCount: (deployment.status?.collisionCount ?? 0) + 1 } : computed;
  const patch = statusPatch(deployment.status, status);
  if (patch)
    actions.push({ do: 'patch', resource: resources.deployments, object: deployment, subresource: 'status', patch: { status: patch } });
  const requeueAfter = untilDeadline(deployment, status, now);
  return requeueAfter === undefined ? { actions } : { actions, requeueAfter };
}

const selectsAll = (deployment: Deployment): Outcome => ({
  actions: [
    {
      do: 'event',
      event: {
        regarding: deployment,
        type: 'Warning',
        reason: 'SelectingAll',
        message: 'This deployment is selecting all pods. A non-empty selector is required.',
      },
    },
  ],
});
