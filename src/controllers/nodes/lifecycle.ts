import {
  type Condition,
  findCondition,
  fromTime,
  isPodReady,
  type Node,
  type Pod,
  resources,
  type Taint,
  toTime,
} from '../../objects/client.ts';
import type { Action } from '../action.ts';
import { type Controller, nothing, type Outcome, watch } from '../controller.ts';
import { sameMeaning } from '../equal.ts';
import { isDeleting, isPodFinished, withCondition } from '../metadata.ts';
import { nodeTaints } from '../taints.ts';
import type { ClusterView } from '../view.ts';

export interface NodeLifecycleOptions {
  /** How long a node's Lease may go without renewal before the node counts as gone (ms). */
  readonly gracePeriod: number;
}

/** Calls a node whose Lease is not renewed Unknown, taints nodes by their conditions, and takes their pods out of service. */
export const nodeLifecycleController = ({ gracePeriod }: NodeLifecycleOptions): Controller => ({
  name: 'node_lifecycle_controller',
  component: 'node-controller',
  workers: 8,
  watches: [
    watch(resources.nodes, (before, after) => {
      const { name } = (after ?? before)!.metadata;
      return [name, ...(before && after ? [] : [`${after ? registered : removed}${name}`])];
    }),
    watch(resources.leases, (before, after) => {
      const { namespace, name } = (after ?? before)!.metadata;
      return namespace === 'kube-node-lease' ? [name] : [];
    }),
    // A pod that says it is ready on a node that is gone says so for lack of news.
    watch(resources.pods, (_before, after) => (after?.spec.nodeName && isPodReady(after) ? [after.spec.nodeName] : [])),
  ],
  reconcile(name, view) {
    const node = view.get(resources.nodes, name);
    if (name.startsWith(registered) || name.startsWith(removed)) return { actions: tellOf(name, view) };
    return node && !isDeleting(node) ? reconcileNode(node, view, gracePeriod) : nothing;
  },
});

/** Keys of nodes that came or went; no name of a node begins so. */
const registered = '+';
const removed = '-';

/** Tells that a node is known from now on, at the start of the controllers too, or is no longer. */
function tellOf(key: string, view: ClusterView): Action[] {
  const name = key.slice(1);
  const node = view.get(resources.nodes, name);
  if (key.startsWith(registered) !== (node !== undefined)) return [];
  const regarding = node ?? { apiVersion: 'v1', kind: 'Node', metadata: { name, uid: name } };
  const [reason, what] = node
    ? ['RegisteredNode', `Registered Node ${name} in Controller`]
    : ['RemovingNode', `Removing Node ${name} from Controller`];
  return [{ do: 'event', event: { regarding, type: 'Normal', reason: reason!, message: `Node ${name} event: ${what}` } }];
}

function reconcileNode(node: Node, view: ClusterView, gracePeriod: number): Outcome {
  // A node that never had a Lease is given the grace period from its creation.
  const seenAt = view.leaseSeenAt(node.metadata.name) ?? fromTime(node.metadata.creationTimestamp);
  const left = seenAt + gracePeriod - view.now;
  const conditions = left > 0 ? (node.status?.conditions ?? []) : unknownConditions(node, view.now);
  const actions: Action[] = [];
  if (!sameMeaning(conditions, node.status?.conditions)) {
    // By revision: the node may be reporting just now.
    const patch = { metadata: { resourceVersion: node.metadata.resourceVersion }, status: { conditions } };
    actions.push({ do: 'patch', resource: resources.nodes, object: node, subresource: 'status', patch, success: notReadyEvent(node) });
  }
  const taints = wantedTaints(node, conditions, view.now);
  if (!sameMeaning(taints, node.spec?.taints)) {
    const { uid, resourceVersion } = node.metadata;
    // Together with a change of conditions the revision is about to move on by our own hand.
    const metadata = actions.length > 0 ? { uid } : { uid, resourceVersion };
    actions.push({
      do: 'patch',
      resource: resources.nodes,
      object: node,
      patch: { metadata, spec: { taints: taints.length ? taints : null } },
    });
  }
  // A node that renews its Lease again will say itself how its pods are.
  if (left <= 0 || findCondition(conditions, 'Ready')?.status === 'False') actions.push(...takeOutOfService(node, view));
  return left > 0 ? { actions, requeueAfter: left } : { actions };
}

const notReadyEvent = (node: Node) =>
  ({ regarding: node, type: 'Normal', reason: 'NodeNotReady', message: `Node ${node.metadata.name} status is now: NodeNotReady` }) as const;

const heartbeatConditions = ['MemoryPressure', 'DiskPressure', 'PIDPressure', 'Ready'] as const;

/** The conditions of a node that stopped reporting, as the reference sets them. */
function unknownConditions(node: Node, now: number): Condition[] {
  return heartbeatConditions.reduce<Condition[]>((conditions, type) => {
    const before = findCondition(conditions, type);
    if (before?.status === 'Unknown') return conditions;
    const [reason, message] = before
      ? ['NodeStatusUnknown', 'Kubelet stopped posting node status.']
      : ['NodeStatusNeverUpdated', 'Kubelet never posted node status.'];
    const lastHeartbeatTime = before?.lastHeartbeatTime ?? node.metadata.creationTimestamp ?? toTime(now);
    return withCondition(conditions, { type, status: 'Unknown', reason, message, lastHeartbeatTime }, now);
  }, node.status?.conditions ?? []);
}

/** Which taints a condition of the node calls for, by its status. */
const conditionTaints: readonly {
  readonly type: string;
  readonly taints: Readonly<Partial<Record<Condition['status'], string>>>;
  readonly evicts: boolean;
}[] = [
  { type: 'Ready', taints: { False: nodeTaints.notReady, Unknown: nodeTaints.unreachable }, evicts: true },
  { type: 'MemoryPressure', taints: { True: nodeTaints.memoryPressure }, evicts: false },
  { type: 'DiskPressure', taints: { True: nodeTaints.diskPressure }, evicts: false },
  { type: 'PIDPressure', taints: { True: nodeTaints.pidPressure }, evicts: false },
  { type: 'NetworkUnavailable', taints: { True: nodeTaints.networkUnavailable }, evicts: false },
];

/** The node's taints with ours as the conditions call for them; those of others stay as they are, and ours keep their time while they last. */
function wantedTaints(node: Node, conditions: readonly Condition[], now: number): Taint[] {
  const wanted: Taint[] = conditionTaints.flatMap(({ type, taints, evicts }) => {
    const status = findCondition(conditions, type)?.status;
    const key = status && taints[status];
    if (key === undefined) return [];
    return [{ key, effect: 'NoSchedule' }, ...(evicts ? [{ key, effect: 'NoExecute' } as const] : [])] satisfies Taint[];
  });
  if (node.spec?.unschedulable) wanted.push({ key: nodeTaints.unschedulable, effect: 'NoSchedule' });
  const ours = new Set<string>(Object.values(nodeTaints));
  const before = node.spec?.taints ?? [];
  const kept = before.filter(({ key, effect }) => !ours.has(key) || wanted.some((taint) => taint.key === key && taint.effect === effect));
  const missing = wanted.filter(({ key, effect }) => !kept.some((taint) => taint.key === key && taint.effect === effect));
  return [...kept, ...missing.map((taint) => ({ ...taint, timeAdded: toTime(now) }))];
}

/** Calls the node's pods not ready, so that their endpoints leave the services. Their own node calls them ready again when it is back. */
function takeOutOfService(node: Node, view: ClusterView): Action[] {
  const pods = view.podsOnNode(node.metadata.name).filter((pod) => isPodReady(pod) && !isPodFinished(pod));
  return pods.length === 0 ? [] : [{ do: 'together', actions: pods.map((pod) => notReady(pod, view.now)) }];
}

function notReady(pod: Pod, now: number): Action {
  const before = findCondition(pod.status?.conditions, 'Ready');
  const conditions = withCondition(pod.status?.conditions, { ...before, type: 'Ready', status: 'False' }, now);
  return {
    do: 'patch',
    resource: resources.pods,
    object: pod,
    subresource: 'status',
    patch: { metadata: { resourceVersion: pod.metadata.resourceVersion }, status: { conditions } },
    success: { regarding: pod, type: 'Warning', reason: 'NodeNotReady', message: 'Node is not ready' },
  };
}
