import type { Node, Pod } from '../../objects/client.ts';
import { controllerOf } from '../metadata.ts';
import { isTolerated } from '../taints.ts';
import { addAmounts, allocatableOf, noAmounts, requestsOf } from './requests.ts';

export interface Candidate {
  readonly node: Node;
  /** Pods it has already, those on their way to it included. */
  readonly running: readonly Pod[];
}

/** The best of the nodes that can take the pod: fewest unwelcome taints, fewest pods of the same owner, least requested, fewest pods; then by name. */
export function bestNode(pod: Pod, candidates: readonly Candidate[]): Node | undefined {
  const owner = controllerOf(pod)?.uid;
  const ranked = candidates.map(({ node, running }) => ({
    node,
    rank: [
      (node.spec?.taints ?? []).filter((taint) => taint.effect === 'PreferNoSchedule' && !isTolerated(pod, taint)).length,
      owner === undefined ? 0 : running.filter((other) => controllerOf(other)?.uid === owner && !other.metadata.deletionTimestamp).length,
      load(node, running),
      running.length,
    ],
  }));
  ranked.sort((a, b) => compare(a.rank, b.rank) || (a.node.metadata.name < b.node.metadata.name ? -1 : 1));
  return ranked[0]?.node;
}

/** Requested share of the node, in tenths, so that small differences do not outweigh the number of pods. */
function load(node: Node, running: readonly Pod[]): number {
  const used = running.map(requestsOf).reduce(addAmounts, noAmounts);
  const free = allocatableOf(node);
  return Math.round(Math.max(used.cpu / free.cpu, used.memory / free.memory) * 10);
}

function compare(a: readonly number[], b: readonly number[]): number {
  const index = a.findIndex((value, at) => value !== b[at]);
  return index < 0 ? 0 : a[index]! - b[index]!;
}
