import { fromTime, objectKey, type Pod, resources } from '../../objects/client.ts';
import type { Action } from '../action.ts';
import { type Controller, nothing, type Outcome, watch } from '../controller.ts';
import { byAge, isDeleting, isPodFinished, withCondition } from '../metadata.ts';
import type { ClusterView } from '../view.ts';

export interface PodCollectorOptions {
  /** How many pods that have ended may stay; the oldest beyond go. 0 keeps all. */
  readonly terminatedPodThreshold: number;
}

/** A pod is not collected before this age (ms): its node may be about to register. */
const orphanAge = 40_000;
const terminatedKey = 'terminated';

/** Deletes pods that nobody else will: of nodes that are gone, deleted before they had a node, and ended ones beyond a number. */
export const podCollectorController = ({ terminatedPodThreshold }: PodCollectorOptions): Controller => ({
  name: 'pod_garbage_collector',
  component: 'pod-garbage-collector',
  workers: 4,
  watches: [
    watch(resources.pods, (before, after) => {
      if (!after) return [];
      const ended = terminatedPodThreshold > 0 && isPodFinished(after) && !(before && isPodFinished(before));
      return [...(after.spec.nodeName || isDeleting(after) ? [objectKey(after)] : []), ...(ended ? [terminatedKey] : [])];
    }),
    watch(resources.nodes, (before, after, view) => (after ? [] : view.podsOnNode(before!.metadata.name).map(objectKey))),
  ],
  reconcile(key, view) {
    if (key === terminatedKey) return collectTerminated(view, terminatedPodThreshold);
    const pod = view.get(resources.pods, key);
    if (!pod) return nothing;
    const { nodeName } = pod.spec;
    if (!nodeName) return isDeleting(pod) ? { actions: [end(pod)] } : nothing;
    return view.get(resources.nodes, nodeName) ? nothing : collectOrphan(pod, nodeName, view);
  },
});

const end = (pod: Pod): Action => ({ do: 'delete', resource: resources.pods, object: pod, gracePeriodSeconds: 0 });

/** A node that does not exist will never end its pods: they are deleted outright, once the API server confirms that it is gone. */
function collectOrphan(pod: Pod, nodeName: string, view: ClusterView): Outcome {
  const wait = fromTime(pod.metadata.creationTimestamp) + orphanAge - view.now;
  if (wait > 0) return { actions: [], requeueAfter: wait };
  const guards = [{ is: 'absent', resource: resources.nodes, name: nodeName }] as const;
  const disruption = { status: 'True', reason: 'DeletionByPodGC', message: 'PodGC: node no longer exists' } as const;
  return { actions: [...failed(pod, disruption, view.now).map((action) => ({ ...action, guards })), { ...end(pod), guards }] };
}

/** Whoever waits for the pod sees that it failed, and that not its own doing ended it. */
function failed(pod: Pod, disruption: { status: 'True'; reason: string; message: string }, now: number): Action[] {
  if (isPodFinished(pod)) return [];
  const conditions = withCondition(pod.status?.conditions, { type: 'DisruptionTarget', ...disruption }, now);
  const { resourceVersion } = pod.metadata;
  const patch = { metadata: { resourceVersion }, status: { phase: 'Failed', conditions } };
  return [{ do: 'patch', resource: resources.pods, object: pod, subresource: 'status', patch }];
}

function collectTerminated(view: ClusterView, threshold: number): Outcome {
  const ended = view.list(resources.pods).filter((pod) => isPodFinished(pod) && !isDeleting(pod));
  const surplus = [...ended].sort(byAge).slice(0, Math.max(0, ended.length - threshold));
  return surplus.length > 0 ? { actions: [{ do: 'together', actions: surplus.map(end) }] } : nothing;
}
