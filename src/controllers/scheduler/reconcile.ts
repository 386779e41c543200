import { findCondition, type Node, objectKey, type Pod, resources, toTime } from '../../objects/client.ts';
import type { Action } from '../action.ts';
import { type Controller, nothing, type Outcome, watch } from '../controller.ts';
import { sameMeaning } from '../equal.ts';
import { isDeleting, isPodFinished } from '../metadata.ts';
import type { ClusterView } from '../view.ts';
import { clusterOf } from './cluster.ts';
import { describeMisfits, filterNodes } from './filter.ts';
import { bestNode } from './score.ts';

/** Finds a node for each pod that has none. One decision sees the bindings of those before it, also while they are still on their way. */
export const schedulerController: Controller = {
  name: 'scheduler',
  component: 'default-scheduler',
  workers: 16,
  watches: [
    watch(resources.pods, (before, after, view) => {
      if (after && isOurs(after)) return [objectKey(after)];
      if (!after?.spec.nodeName && !before?.spec.nodeName) return [];
      // A pod that leaves its node makes room for others; one that comes, or changes its labels, concerns those who want it near or far.
      const leaves = before && (!after || (!isEnding(before) && isEnding(after)));
      if (leaves) return waitingPods(view);
      const comes = !before?.spec.nodeName || !sameMeaning(before.metadata.labels, after?.metadata.labels);
      return comes ? waitingPods(view).filter((key) => isChoosy(view.get(resources.pods, key)!)) : [];
    }),
    watch(resources.nodes, (before, after, view) =>
      before && after && sameMeaning(schedulingState(before), schedulingState(after)) ? [] : waitingPods(view),
    ),
  ],
  reconcile(key, view) {
    const pod = view.get(resources.pods, key);
    if (!pod || !isOurs(pod)) return nothing;
    return pod.spec.schedulingGates?.length ? { actions: tellCondition(pod, 'SchedulingGated', gated, view.now) } : schedule(pod, view);
  },
};

const gated = 'Scheduling is blocked due to non-empty scheduling gates';

/** Waits for this scheduler to give it a node. */
function isOurs(pod: Pod): boolean {
  const { nodeName, schedulerName = 'default-scheduler' } = pod.spec;
  return !nodeName && !isDeleting(pod) && !isPodFinished(pod) && schedulerName === 'default-scheduler';
}

const isEnding = (pod: Pod): boolean => isPodFinished(pod) || isDeleting(pod);
const isChoosy = ({ spec }: Pod): boolean =>
  spec.affinity?.podAffinity !== undefined || spec.affinity?.podAntiAffinity !== undefined || spec.topologySpreadConstraints !== undefined;

const waitingPods = (view: ClusterView): string[] => view.podsOnNode('').filter(isOurs).map(objectKey);

/** What of a node can change a decision; heartbeats do not. */
const schedulingState = ({ metadata, spec, status }: Node): unknown => [
  metadata.labels,
  metadata.deletionTimestamp !== undefined,
  spec?.taints,
  spec?.unschedulable,
  status?.allocatable,
  findCondition(status?.conditions, 'Ready')?.status,
];

function schedule(pod: Pod, view: ClusterView): Outcome {
  const cluster = clusterOf(view);
  const filtered = filterNodes(pod, cluster);
  const node = bestNode(pod, filtered.fitting, cluster);
  return { actions: node ? [bind(pod, node)] : giveReason(pod, describeMisfits(pod, filtered), view.now) };
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
  const told = tellCondition(pod, 'Unschedulable', message, now);
  return told.length === 0
    ? []
    : [...told, { do: 'event', event: { regarding: pod, type: 'Warning', reason: 'FailedScheduling', message } }];
}

function tellCondition(pod: Pod, reason: string, message: string, now: number): Action[] {
  const before = findCondition(pod.status?.conditions, 'PodScheduled');
  if (before?.status === 'False' && before.reason === reason && before.message === message) return [];
  const lastTransitionTime = before?.status === 'False' ? (before.lastTransitionTime ?? toTime(now)) : toTime(now);
  const condition = { type: 'PodScheduled', status: 'False', reason, message, lastProbeTime: null, lastTransitionTime } as const;
  const conditions = [...(pod.status?.conditions ?? []).filter(({ type }) => type !== 'PodScheduled'), condition];
  // Guarded by the revision: the pod may have been bound by someone else, and its runner owns the conditions from then on.
  const patch = { metadata: { resourceVersion: pod.metadata.resourceVersion }, status: { conditions } };
  return [{ do: 'patch', resource: resources.pods, object: pod, subresource: 'status', patch }];
}
