import { objectKey, type Pod, type ReplicaSet, resources } from '../../objects/client.ts';
import type { Action } from '../action.ts';
import { claim } from '../claim.ts';
import { type Controller, type Failure, nothing, type Outcome, watch } from '../controller.ts';
import { adopters, controllerKeys, controllerOf, controllerReference, isDeleting, isPodActive } from '../metadata.ts';
import type { ClusterView } from '../view.ts';
import { podsToDelete } from './ranking.ts';
import { replicaSetStatus } from './status.ts';

/** At most this many pods are made or deleted in one turn, as in the reference. */
const burst = 500;

/** Keeps as many pods as each ReplicaSet asks for. */
export const replicaSetController: Controller = {
  name: 'replicaset',
  component: 'replicaset-controller',
  workers: 8,
  watches: [
    watch(resources.replicaSets, (before, after) => [objectKey((after ?? before)!)]),
    watch(resources.pods, (before, after, view) => [
      ...controllerKeys('ReplicaSet', before, after),
      ...adopters(after, view.list(resources.replicaSets, after?.metadata.namespace)),
    ]),
  ],
  reconcile(key, view, failure) {
    const replicaSet = view.get(resources.replicaSets, key);
    const failed = failure?.action === 'create' || failure?.action === 'delete' ? failure : undefined;
    return replicaSet ? reconcileReplicaSet(replicaSet, view, failed) : nothing;
  },
};

function reconcileReplicaSet(replicaSet: ReplicaSet, view: ClusterView, failure: Failure | undefined): Outcome {
  const candidates = candidatePods(replicaSet, view);
  const { owned, actions: claims } = claim(replicaSet, resources.replicaSets, replicaSet.spec.selector, resources.pods, candidates);
  const pods = owned.filter(isPodActive);
  // What is being adopted counts already next time; making or deleting pods before that would be one too many.
  const change = claims.length > 0 || isDeleting(replicaSet) ? [] : changePods(replicaSet, pods, view);
  const { patch, nextChange } = replicaSetStatus(replicaSet, pods, failure, view.now);
  const status: Action[] = patch
    ? [{ do: 'patch', resource: resources.replicaSets, object: replicaSet, subresource: 'status', patch: { status: patch } }]
    : [];
  // After a failure the status goes first: it tells the reason even if the next try fails as well.
  const actions = failure ? [...claims, ...status, ...change] : [...claims, ...change, ...status];
  return nextChange === undefined ? { actions } : { actions, requeueAfter: nextChange };
}

/** Its own pods, and those of its namespace that have no controller. */
function candidatePods(replicaSet: ReplicaSet, view: ClusterView): Pod[] {
  const own = view.owned(resources.pods, replicaSet.metadata.uid ?? '');
  const orphans = view
    .owned(resources.pods, '')
    .filter((pod) => pod.metadata.namespace === replicaSet.metadata.namespace && isPodActive(pod));
  return [...own, ...orphans];
}

function changePods(replicaSet: ReplicaSet, pods: readonly Pod[], view: ClusterView): Action[] {
  const difference = (replicaSet.spec.replicas ?? 1) - pods.length;
  if (difference > 0) {
    const create = newPod(replicaSet);
    return [{ do: 'together', actions: Array.from({ length: Math.min(difference, burst) }, () => create) }];
  }
  const victims = podsToDelete(pods, siblings(replicaSet, view), Math.min(-difference, burst));
  if (victims.length === 0) return [];
  return [{ do: 'together', actions: victims.map((pod) => deletePod(replicaSet, pod)) }];
}

/** Active pods of this replica set and of its deployment's others: they tell how crowded a node is. */
function siblings(replicaSet: ReplicaSet, view: ClusterView): Pod[] {
  const owner = controllerOf(replicaSet);
  const family = owner ? view.owned(resources.replicaSets, owner.uid) : [replicaSet];
  return family.flatMap(({ metadata }) => view.owned(resources.pods, metadata.uid ?? '')).filter(isPodActive);
}

function newPod(replicaSet: ReplicaSet): Action {
  const { name, namespace } = replicaSet.metadata;
  const { template } = replicaSet.spec;
  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: '',
      generateName: `${name}-`,
      namespace: namespace ?? 'default',
      ...(template?.metadata?.labels ? { labels: template.metadata.labels } : {}),
      ...(template?.metadata?.annotations ? { annotations: template.metadata.annotations } : {}),
      ownerReferences: [controllerReference({ ...replicaSet, apiVersion: 'apps/v1', kind: 'ReplicaSet' })],
    },
    spec: template?.spec ?? { containers: [] },
  };
  return {
    do: 'create',
    resource: resources.pods,
    object: pod,
    success: { regarding: replicaSet, type: 'Normal', reason: 'SuccessfulCreate', message: 'Created pod: {name}' },
    failure: { regarding: replicaSet, type: 'Warning', reason: 'FailedCreate', message: 'Error creating: {error}' },
  };
}

const deletePod = (replicaSet: ReplicaSet, pod: Pod): Action => ({
  do: 'delete',
  resource: resources.pods,
  object: pod,
  success: { regarding: replicaSet, type: 'Normal', reason: 'SuccessfulDelete', message: `Deleted pod: ${pod.metadata.name}` },
  failure: { regarding: replicaSet, type: 'Warning', reason: 'FailedDelete', message: 'Error deleting: {error}' },
});
