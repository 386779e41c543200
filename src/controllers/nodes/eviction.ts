import { fromTime, type Node, objectKey, type Pod, resources, type Taint } from '../../objects/client.ts';
import { type Controller, nothing, type Outcome, watch } from '../controller.ts';
import { sameMeaning } from '../equal.ts';
import { isDeleting, withCondition } from '../metadata.ts';
import { nodeTaints, tolerates } from '../taints.ts';

/** What admission gives to pods that say nothing about nodes that are not ready or unreachable (DefaultTolerationSeconds). */
const defaultTolerationSeconds = 300;

/** Deletes pods from nodes whose NoExecute taints they do not tolerate (any longer). */
export const evictionController: Controller = {
  name: 'taint_eviction_controller',
  component: 'taint-eviction-controller',
  workers: 8,
  watches: [
    watch(resources.pods, (_before, after) => (after?.spec.nodeName && !isDeleting(after) ? [objectKey(after)] : [])),
    watch(resources.nodes, (before, after, view) =>
      after && !sameMeaning(noExecute(before), noExecute(after)) ? view.podsOnNode(after.metadata.name).map(objectKey) : [],
    ),
  ],
  reconcile(key, view) {
    const pod = view.get(resources.pods, key);
    if (!pod?.spec.nodeName) return nothing;
    const node = view.get(resources.nodes, pod.spec.nodeName);
    return node ? evictInTime(pod, node, view.now) : nothing;
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
  const condition = {
    type: 'DisruptionTarget',
    status: 'True',
    reason: 'DeletionByTaintManager',
    message: 'Taint manager: deleting due to NoExecute taint',
  } as const;
  const conditions = withCondition(pod.status?.conditions, condition, now);
  const patch = { metadata: { uid: pod.metadata.uid, resourceVersion: pod.metadata.resourceVersion }, status: { conditions } };
  return {
    actions: [
      { do: 'patch', resource: resources.pods, object: pod, subresource: 'status', patch },
      { do: 'delete', resource: resources.pods, object: pod, success: event },
    ],
  };
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
