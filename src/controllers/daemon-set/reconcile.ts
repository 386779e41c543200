import { type DaemonSet, matchesLabelSelector, type Node, objectKey, resources } from '../../objects/client.ts';
import type { Action } from '../action.ts';
import { claim } from '../claim.ts';
import { type Controller, nothing, type Outcome, watch } from '../controller.ts';
import { sameMeaning } from '../equal.ts';
import { adopters, controllerKeys, isDeleting } from '../metadata.ts';
import type { ClusterView } from '../view.ts';
import { cleanUp, readHistory } from './history.ts';
import { type Daemons, type Plan, planActions, planPods } from './manage.ts';
import { placementOn, targetNode } from './placement.ts';
import { planUpdate, updateLimits } from './rolling-update.ts';
import { daemonSetStatus } from './status.ts';

/** One pod on each node that a DaemonSet is for; new templates reach the nodes step by step. */
export const daemonSetController: Controller = {
  name: 'daemonset',
  component: 'daemonset-controller',
  workers: 4,
  watches: [
    watch(resources.daemonSets, (before, after) => [objectKey((after ?? before)!)]),
    watch(resources.pods, (before, after, view) => [
      ...controllerKeys('DaemonSet', before, after),
      ...adopters(after, view.list(resources.daemonSets, after?.metadata.namespace)),
    ]),
    watch(resources.controllerRevisions, (before, after) => controllerKeys('DaemonSet', before, after)),
    watch(resources.nodes, (before, after, view) =>
      before && after && sameMeaning(placementState(before), placementState(after)) ? [] : view.list(resources.daemonSets).map(objectKey),
    ),
  ],
  reconcile(key, view) {
    const daemonSet = view.get(resources.daemonSets, key);
    return daemonSet ? reconcileDaemonSet(daemonSet, view) : nothing;
  },
};

/** What of a node decides whether it is to run a pod; heartbeats do not. */
const placementState = ({ metadata, spec }: Node): unknown => [metadata.labels, spec?.taints];

function reconcileDaemonSet(daemonSet: DaemonSet, view: ClusterView): Outcome {
  const { selector, updateStrategy } = daemonSet.spec;
  if (matchesLabelSelector(selector, {}) && !selector.matchExpressions?.length) return selectsAll(daemonSet);
  const namespace = daemonSet.metadata.namespace ?? '';
  const own = view.owned(resources.pods, daemonSet.metadata.uid ?? '');
  const orphans = view.owned(resources.pods, '').filter((pod) => pod.metadata.namespace === namespace && !isDeleting(pod));
  const claimed = claim(daemonSet, resources.daemonSets, selector, resources.pods, [...own, ...orphans]);
  if (claimed.actions.length > 0) return { actions: claimed.actions };

  const revisions = view.owned(resources.controllerRevisions, daemonSet.metadata.uid ?? '').filter((revision) => !isDeleting(revision));
  const history = readHistory(daemonSet, revisions, claimed.owned, view);
  const nodes = view.list(resources.nodes);
  const pods = Map.groupBy(claimed.owned, (pod) => targetNode(pod) ?? '');
  pods.delete('');

  const actions: Action[] = [];
  let wait: number | undefined;
  if (!isDeleting(daemonSet)) {
    actions.push(...history.actions);
    if (history.hash !== undefined && history.actions.length === 0) {
      const { hash } = history;
      const wanted = nodes.filter((node) => placementOn(node, daemonSet).shouldRun).length;
      const limits = updateLimits(daemonSet, wanted);
      const rolling = updateStrategy?.type !== 'OnDelete';
      const daemons: Daemons = { daemonSet, nodes, pods, hash, maxSurge: rolling ? limits.maxSurge : 0, now: view.now };
      const plan = planPods(daemons);
      wait = plan.wait;
      const idle = isIdle(plan);
      // One after the other: an update judges what the first has put right.
      const next = idle && rolling ? planUpdate(daemons, limits) : plan;
      actions.push(...planActions(daemonSet, next, hash));
      if (idle) actions.push(...cleanUp(daemonSet, history.old, claimed.owned));
    }
  }
  const collisions = daemonSet.status?.collisionCount;
  const collisionCount = history.collided ? (collisions ?? 0) + 1 : collisions;
  const { patch, nextChange } = daemonSetStatus(daemonSet, nodes, pods, history.hash, collisionCount, view.now);
  if (patch) {
    const status: Action = {
      do: 'patch',
      resource: resources.daemonSets,
      object: daemonSet,
      subresource: 'status',
      patch: { status: patch },
    };
    // First: what follows may be refused for long, and the status tells of it.
    actions.unshift(status);
  }
  const requeueAfter = [wait, nextChange].filter((delay) => delay !== undefined);
  return requeueAfter.length > 0 ? { actions, requeueAfter: Math.min(...requeueAfter) } : { actions };
}

const isIdle = ({ create, remove }: Plan): boolean => create.length + remove.length === 0;

const selectsAll = (daemonSet: DaemonSet): Outcome => ({
  actions: [
    {
      do: 'event',
      event: {
        regarding: daemonSet,
        type: 'Warning',
        reason: 'SelectingAll',
        message: 'This daemon set is selecting all pods. A non-empty selector is required.',
      },
    },
  ],
});
