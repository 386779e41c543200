import { findCondition, type Node, type Pod, type Taint } from '../../objects/client.ts';
import { matchesNodeAffinity } from '../node-selection.ts';
import { isTolerated, nodeTaints } from '../taints.ts';
import type { Candidate, Cluster } from './cluster.ts';
import { portsClash } from './host-ports.ts';
import { podAffinityRules } from './pod-affinity.ts';
import { allocatableOf, requestsOf } from './requests.ts';
import { spreadRules } from './topology-spread.ts';

/** Why a node cannot take a pod, in the scheduler's words. */
export interface Misfit {
  readonly reasons: readonly string[];
  /** Deleting other pods would not help. */
  readonly helpless: boolean;
}

export interface Filtered {
  readonly fitting: readonly Candidate[];
  readonly misfits: readonly Misfit[];
  /** A reason that holds for the pod whatever the node. */
  readonly general?: string;
}

const because = (reason: string, helpless: boolean): Misfit => ({ reasons: [reason], helpless });

/** Sorts the nodes into those that can take the pod and those that cannot; the first filter that refuses a node tells why, as in the reference. */
export function filterNodes(pod: Pod, cluster: Cluster): Filtered {
  const general = missingClaim(pod);
  if (general !== undefined) return { fitting: [], misfits: cluster.nodes.map(() => because(general, true)), general };
  const named = namedNodes(pod);
  const spread = spreadRules(pod, cluster);
  const affinity = podAffinityRules(pod, cluster);
  const judge = (candidate: Candidate): Misfit | undefined => {
    if (named && !named.has(candidate.node.metadata.name)) return because("node(s) didn't satisfy plugin(s) [NodeAffinity]", true);
    const own = ownMisfit(pod, candidate);
    if (own) return own;
    const other = spread.misfit(candidate.node) ?? affinity.misfit(candidate.node);
    return other && because(other.reason, other.helpless);
  };
  const fitting: Candidate[] = [];
  const misfits: Misfit[] = [];
  for (const candidate of cluster.nodes) {
    const misfit = judge(candidate);
    if (misfit) misfits.push(misfit);
    else fitting.push(candidate);
  }
  return { fitting, misfits };
}

/** What the node itself and the pods on it say, apart from pods elsewhere. */
function ownMisfit(pod: Pod, { node, ports, ...load }: Candidate): Misfit | undefined {
  if (node.metadata.deletionTimestamp) return because('node(s) were being deleted', true);
  const taint = untolerated(pod, node);
  if (taint?.key === nodeTaints.unschedulable) return because('node(s) were unschedulable', true);
  if (taint) return because(`node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`, true);
  if (!matchesNodeAffinity(pod.spec, node)) return because("node(s) didn't match Pod's node affinity/selector", true);
  if (portsClash(pod, ports)) return because("node(s) didn't have free ports for the requested pod ports", false);
  return shortages(pod, node, load);
}

/** The first taint that keeps the pod away, also those that the node's state calls for before a controller has written them. */
function untolerated(pod: Pod, node: Node): Taint | undefined {
  const ready = findCondition(node.status?.conditions, 'Ready')?.status;
  const implied: Taint[] = [
    ...(node.spec?.unschedulable ? [{ key: nodeTaints.unschedulable, effect: 'NoSchedule' } as const] : []),
    ...(ready === 'True'
      ? []
      : [{ key: ready === 'Unknown' ? nodeTaints.unreachable : nodeTaints.notReady, effect: 'NoSchedule' } as const]),
  ];
  const taints = [...(node.spec?.taints ?? []), ...implied].filter(({ effect }) => effect !== 'PreferNoSchedule');
  return taints.filter((taint) => !isTolerated(pod, taint)).sort((a, b) => rank(a) - rank(b))[0];
}

/** A cordoned node is called so whatever other taints it has. */
const rank = ({ key }: Taint): number => (key === nodeTaints.unschedulable ? 0 : 1);

function shortages(pod: Pod, node: Node, { used }: Pick<Candidate, 'used'>): Misfit | undefined {
  const wanted = requestsOf(pod);
  const free = allocatableOf(node);
  const reasons = used.pods + 1 > free.pods ? ['Too many pods'] : [];
  let helpless = false;
  const check = (name: string, asked: number, taken: number, total: number): void => {
    if (asked === 0 || taken + asked <= total) return;
    reasons.push(`Insufficient ${name}`);
    helpless ||= asked > total;
  };
  check('cpu', wanted.cpu, used.cpu, free.cpu);
  check('memory', wanted.memory, used.memory, free.memory);
  for (const [name, asked] of Object.entries(wanted.other)) check(name, asked, used.other[name] ?? 0, limitOf(name, free.other));
  return reasons.length > 0 ? { reasons, helpless } : undefined;
}

/** A node that does not tell of its disk may have any; what it does not name otherwise it does not have. */
const limitOf = (name: string, free: Readonly<Record<string, number>>): number =>
  free[name] ?? (name === 'ephemeral-storage' ? Number.POSITIVE_INFINITY : 0);

/** The only nodes that the pod can mean when every term of its node affinity names some; undefined when it does not. */
function namedNodes({ spec }: Pod): ReadonlySet<string> | undefined {
  const terms = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  const names = terms.map(
    ({ matchFields = [] }) => matchFields.find(({ key, operator }) => key === 'metadata.name' && operator === 'In')?.values,
  );
  return names.length > 0 && names.every((values) => values !== undefined) ? new Set(names.flat() as string[]) : undefined;
}

interface ClaimingVolume {
  readonly name: string;
  readonly persistentVolumeClaim?: { readonly claimName?: string };
  readonly ephemeral?: object;
}

/** Persistent volume claims are not served: a pod that relies on one waits for it in vain, and is told so. */
function missingClaim({ metadata, spec }: Pod): string | undefined {
  for (const { name, persistentVolumeClaim, ephemeral } of (spec as { volumes?: readonly ClaimingVolume[] }).volumes ?? []) {
    if (persistentVolumeClaim) return `persistentvolumeclaim "${persistentVolumeClaim.claimName ?? ''}" not found`;
    if (ephemeral) return `waiting for ephemeral volume controller to create the persistentvolumeclaim "${metadata.name}-${name}"`;
  }
  return undefined;
}

/** `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable. preemption: ...`, as kube-scheduler words it. */
export function describeMisfits({ spec }: Pod, { misfits, general }: Pick<Filtered, 'misfits' | 'general'>): string {
  if (misfits.length === 0) return 'no nodes available to schedule pods';
  const available = `0/${misfits.length} nodes are available:`;
  const why = general ?? counted(misfits.flatMap(({ reasons }) => reasons));
  const victims = misfits.map(({ helpless }) =>
    helpless ? 'Preemption is not helpful for scheduling' : 'No preemption victims found for incoming pod',
  );
  const preemption =
    spec.preemptionPolicy === 'Never' ? 'not eligible due to preemptionPolicy=Never.' : `${available} ${counted(victims)}.`;
  return `${available} ${why}. preemption: ${preemption}`;
}

function counted(reasons: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return [...counts]
    .map(([reason, count]) => `${count} ${reason}`)
    .sort()
    .join(', ');
}
