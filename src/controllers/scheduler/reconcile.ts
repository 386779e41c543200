import { findCondition, type Node, objectKey, type Pod, type PodSpec, resources, toTime } from '../../objects/client.ts';
import type { Action } from '../action.ts';
import { type Controller, nothing, type Outcome, watch } from '../controller.ts';
import { sameMeaning } from '../equal.ts';
import { isDeleting, isPodFinished } from '../metadata.ts';
import type { ClusterView } from '../view.ts';
import { describeMisfits, misfits } from './filter.ts';
import { bestNode, type Candidate } from './score.ts';

/** Fields that later versions of the scheduler read as well. */
type SchedulingSpec = PodSpec & { readonly schedulerName?: string; readonly schedulingGates?: readonly unknown[] };

/** Finds a node for each pod that has none. One decision sees the bindings of those before it, also while they are still on their way. */
export const schedulerController: Controller = {
  name: 'scheduler',
  component: 'default-scheduler',
  workers: 16,
  watches: [
    watch(resources.pods, (before, after, view) => {
      if (after && isWaiting(after)) return [objectKey(after)];
      // A pod that leaves its node makes room for others.
      return before?.spec.nodeName && (!after || (isPodFinished(after) && !isPodFinished(before))) ? waitingPods(view) : [];
    }),
    watch(resources.nodes, (before, after, view) =>
      after && (!before || !sameMeaning(schedulingState(before), schedulingState(after))) ? waitingPods(view) : [],
    ),
  ],
  reconcile(key, view) {
    const pod = view.get(resources.pods, key);
    return pod && isWaiting(pod) ? schedule(pod, view) : nothing;
  },
};

function isWaiting(pod: Pod): boolean {
  const { nodeName, schedulerName = 'default-scheduler', schedulingGates = [] } = pod.spec as SchedulingSpec;
  return !nodeName && !isDeleting(pod) && !isPodFinished(pod) && schedulerName === 'default-scheduler' && schedulingGates.length === 0;
}

const waitingPods = (view: ClusterView): string[] => view.podsOnNode('').filter(isWaiting).map(objectKey);

/** What of a node can change a decision; heartbeats do not. */
const schedulingState = ({ metadata, spec, status }: Node): unknown => [
  metadata.labels,
  spec?.taints,
  spec?.unschedulable,
  status?.allocatable,
  findCondition(status?.conditions, 'Ready')?.status,
];

function schedule(pod: Pod, view: ClusterView): Outcome {
  const candidates: Candidate[] = [];
  const reasons: string[][] = [];
  for (const node of view.list(resources.nodes)) {
    const running = view.podsOnNode(node.metadata.name).filter((other) => !isPodFinished(other));
    const why = misfits(pod, node, running);
    if (why.length === 0) candidates.push({ node, running });
    else reasons.push(why);
  }
  const node = bestNode(pod, candidates);
  return { actions: node ? [bind(pod, node)] : giveReason(pod, describeMisfits(reasons), view.now) };
}

const bind = (pod: Pod, node: Node): Action => ({
  do: 'bind',
  pod,
  node,
  success: {
    regarding: pod,
    type: 'Normal',
    reason: 'Scheduled',
    message: `Successfully assigned ${objectKey(pod)} to ${node.metadata.name}`,
  },
  failure: { regarding: pod, type: 'Warning', reason: 'FailedScheduling', message: 'binding rejected: {error}' },
});

/** Tells why the pod must wait, once: the same reason again is not written again. */
function giveReason(pod: Pod, message: string, now: number): Action[] {
  const before = findCondition(pod.status?.conditions, 'PodScheduled');
  if (before?.status === 'False' && before.message === message) return [];
  const lastTransitionTime = before?.status === 'False' ? (before.lastTransitionTime ?? toTime(now)) : toTime(now);
  const condition = {
    type: 'PodScheduled',
    status: 'False',
    reason: 'Unschedulable',
    message,
    lastProbeTime: null,
    lastTransitionTime,
  } as const;
  const conditions = [...(pod.status?.conditions ?? []).filter(({ type }) => type !== 'PodScheduled'), condition];
  return [
    // Guarded by the revision: the pod may have been bound by someone else, and its runner owns the conditions from then on.
    {
      do: 'patch',
      resource: resources.pods,
      object: pod,
      subresource: 'status',
      patch: { metadata: { resourceVersion: pod.metadata.resourceVersion }, status: { conditions } },
    },
    { do: 'event', event: { regarding: pod, type: 'Warning', reason: 'FailedScheduling', message } },
  ];
}
