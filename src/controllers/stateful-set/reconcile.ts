import { matchesLabelSelector, objectKey, resources, type StatefulSet } from '../../objects/client.ts';
import type { Action } from '../action.ts';
import { claim } from '../claim.ts';
import { type Controller, nothing, type Outcome, watch } from '../controller.ts';
import { adopters, controllerKeys, isDeleting } from '../metadata.ts';
import type { ClusterView } from '../view.ts';
import { ordinalOf } from './identity.ts';
import { planPods, refuseClaims, type Situation } from './plan.ts';
import { cleanUp, readRevisions } from './revisions.ts';
import { statefulSetStatus } from './status.ts';

/** Pods with names that last: made, updated and deleted in their order. */
export const statefulSetController: Controller = {
  name: 'statefulset',
  component: 'statefulset-controller',
  workers: 4,
  watches: [
    watch(resources.statefulSets, (before, after) => [objectKey((after ?? before)!)]),
    watch(resources.pods, (before, after, view) => [
      ...controllerKeys('StatefulSet', before, after),
      ...adopters(after, view.list(resources.statefulSets, after?.metadata.namespace)),
    ]),
    watch(resources.controllerRevisions, (before, after) => controllerKeys('StatefulSet', before, after)),
  ],
  reconcile(key, view) {
    const set = view.get(resources.statefulSets, key);
    return set ? reconcileStatefulSet(set, view) : nothing;
  },
};

function reconcileStatefulSet(set: StatefulSet, view: ClusterView): Outcome {
  const { selector } = set.spec;
  if (matchesLabelSelector(selector, {}) && !selector.matchExpressions?.length) return nothing;
  const own = view.owned(resources.pods, set.metadata.uid ?? '');
  const orphans = view
    .owned(resources.pods, '')
    .filter((pod) => pod.metadata.namespace === set.metadata.namespace && ordinalOf(set, pod) !== undefined);
  const { owned: pods, actions: claims } = claim(set, resources.statefulSets, selector, resources.pods, [...own, ...orphans]);
  if (claims.length > 0) return { actions: claims };

  const owned = view.owned(resources.controllerRevisions, set.metadata.uid ?? '').filter((revision) => !isDeleting(revision));
  const revisions = readRevisions(set, owned, view);
  if (!revisions.ready)
    return { actions: isDeleting(set) ? [] : [...revisions.actions, ...(revisions.collided ? [countCollision(set)] : [])] };

  const situation: Situation = { set, pods, current: revisions.current, update: revisions.update, now: view.now };
  const { patch, nextChange } = statefulSetStatus(situation);
  const actions: Action[] = patch ? [patchStatus(set, patch)] : [];
  if (!isDeleting(set)) {
    actions.push(...(set.spec.volumeClaimTemplates?.length ? refuseClaims(set) : planPods(situation)));
    actions.push(...cleanUp(set, owned, [revisions.current, revisions.update], pods));
  }
  return nextChange === undefined ? { actions } : { actions, requeueAfter: nextChange };
}

const patchStatus = (object: StatefulSet, status: Record<string, unknown>): Action => ({
  do: 'patch',
  resource: resources.statefulSets,
  object,
  subresource: 'status',
  patch: { status },
});

/** The next revision's name will differ from the one that is taken. */
const countCollision = (set: StatefulSet): Action => patchStatus(set, { collisionCount: (set.status?.collisionCount ?? 0) + 1 });
