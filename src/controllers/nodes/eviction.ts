import { fromTime, type Node, objectKey, type Pod, resources, type Taint } from '../../objects/client.ts';
import type { Action } from '../action.ts';
import { type Controller, nothing, type Outcome, watch } from '../controller.ts';
import { sameMeaning } from '../equal.ts';
import { isDeleting } from '../metadata.ts';
import { nodeTaints, tolerates } from '../taints.ts';
import type { ClusterView } from '../view.ts';

/** What admission gives to pods that say nothing about nodes that are not ready or unreachable (DefaultTolerationSeconds). */
const defaultTolerationSeconds = 300;
/** A pod is not collected before this age (ms): its node may be about to register. */
const orphanAge = 40_000;

/** Deletes pods from nodes whose NoExecute taints they do not tolerate (any longer), and pods of nodes that are gone. */
export const evictionController: Controller = {
  name: 'taint_eviction_controller',
  component: 'taint-eviction-controller',
  workers: 8,
  watches: [
    watch(resources.pods, (_before, after) => (after?.spec.nodeName && !isDeleting(after) ? [objectKey(after)] : [])),
    watch(resources.nodes, (before, after, view) =>
      sameMeaning(noExecute(before), noExecute(after)) && before && after
        ? []
        : view.podsOnNode((after ?? before)!.metadata.name).map(objectKey),
    ),
  ],
  reconcile(key, view) {
    const pod = view.get(resources.pods, key);
    if (!pod?.spec.nodeName) return nothing;
    const node = view.get(resources.nodes, pod.spec.nodeName);
    return node ? evictInTime(pod, node, view.now) : collectOrphan(pod, pod.spec.nodeName, view);
  },
};

const noExecute = (node: Node | undefined): Taint[] => (node?.spec?.taints ?? []).filter(({ effect }) => effect === 'NoExecute');

function evictInTime(pod: Pod, node: Node, now: number): Outcome {
  const taints = noExecute(node);
  // Mirror pods come and go with their manifest, whatever the API says.
  if (taints.length === 0 || isDeleting(pod) || pod.metadata.annotations?.['kubernetes.io/config.mirror'] !== undefined) return nothing;
  const due = Math.min(...taints.map((taint) => fromTime(taint.timeAdded) + toleratedFor(pod, taint) * 1_000));
  if (!Number.isFinite(due)) return nothing;
  if (due > now) return { actions: [], requeueAfter: due - now };
  const event = {
    regarding: pod,
    type: 'Normal',
    reason: 'TaintManagerEviction',
    message: `Marking for deletion Pod ${objectKey(pod)}`,
  } as const;
  return { actions: [{ do: 'delete', resource: resources.pods, object: pod, success: event }] };
}

/** For how many seconds the pod tolerates the taint: the shortest of those that match counts, none given is for ever. */
function toleratedFor(pod: Pod, taint: Taint): number {
  const matching = (pod.spec.tolerations ?? []).filter((toleration) => tolerates(toleration, taint));
  if (matching.length > 0)
    return Math.min(
      ...matching.map(({ tolerationSeconds }) =>
        tolerationSeconds === undefined ? Number.POSITIVE_INFINITY : Math.max(0, tolerationSeconds),
      ),
    );
  return taint.key === nodeTaints.notReady || taint.key === nodeTaints.unreachable ? defaultTolerationSeconds : 0;
}

/** A node that does not exist will never end its pods: they are deleted outright, once the API server confirms that it is gone. */
function collectOrphan(pod: Pod, nodeName: string, view: ClusterView): Outcome {
  const wait = fromTime(pod.metadata.creationTimestamp) + orphanAge - view.now;
  if (wait > 0) return { actions: [], requeueAfter: wait };
  const action: Action = {
    do: 'delete',
    resource: resources.pods,
    object: pod,
    gracePeriodSeconds: 0,
    guards: [{ is: 'absent', resource: resources.nodes, name: nodeName }],
  };
  return { actions: [action] };
}
