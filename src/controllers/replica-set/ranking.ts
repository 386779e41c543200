import { findCondition, fromTime, isPodReady, type Pod } from '../../objects/client.ts';

const phaseRank = { Pending: 0, Unknown: 1, Running: 2, Succeeded: 3, Failed: 3 } as const;

/**
 * The `count` pods to delete first, in the reference's order (ActivePodsWithRanks): not scheduled, pending, not ready, cheaper by the
 * controller.kubernetes.io/pod-deletion-cost annotation, more siblings on the node, ready for less long, more restarts, younger; then by name.
 */
export function podsToDelete(pods: readonly Pod[], siblings: readonly Pod[], count: number): Pod[] {
  if (count <= 0) return [];
  if (count >= pods.length) return [...pods];
  const crowd = new Map<string, number>();
  for (const { spec } of siblings) if (spec.nodeName) crowd.set(spec.nodeName, (crowd.get(spec.nodeName) ?? 0) + 1);
  const ranked = pods.map((pod) => ({ pod, rank: rankOf(pod, crowd) }));
  ranked.sort((a, b) => compare(a.rank, b.rank) || (a.pod.metadata.name < b.pod.metadata.name ? -1 : 1));
  return ranked.slice(0, count).map(({ pod }) => pod);
}

/** Compared from left to right; the lower goes first. */
function rankOf(pod: Pod, crowd: ReadonlyMap<string, number>): number[] {
  const ready = isPodReady(pod);
  return [
    pod.spec.nodeName ? 1 : 0,
    phaseRank[pod.status?.phase ?? 'Pending'],
    ready ? 1 : 0,
    deletionCost(pod),
    -(crowd.get(pod.spec.nodeName ?? '') ?? 0),
    ready ? -fromTime(findCondition(pod.status?.conditions, 'Ready')?.lastTransitionTime) : 0,
    -(pod.status?.containerStatuses ?? []).reduce((most, { restartCount }) => Math.max(most, restartCount), 0),
    -fromTime(pod.metadata.creationTimestamp),
  ];
}

function deletionCost({ metadata }: Pod): number {
  const text = metadata.annotations?.['controller.kubernetes.io/pod-deletion-cost'] ?? '0';
  return /^-?\d{1,10}$/.test(text) ? Number(text) : 0;
}

function compare(a: readonly number[], b: readonly number[]): number {
  const index = a.findIndex((value, at) => value !== b[at]);
  return index < 0 ? 0 : a[index]! - b[index]!;
}
