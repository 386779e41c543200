import type { Node, Pod } from '../../objects/client.ts';
import { matchesTerm } from '../node-selection.ts';
import { isTolerated } from '../taints.ts';
import type { Candidate, Cluster } from './cluster.ts';
import { podAffinityScores } from './pod-affinity.ts';
import { allocatableOf, nonZeroRequests } from './requests.ts';
import { crowding } from './topology-spread.ts';

/** One view of what makes a node good: 0 to 100 for each candidate, in their order. */
type Scorer = (pod: Pod, candidates: readonly Candidate[], cluster: Cluster) => readonly number[];

/** What counts how much, as in the default profile of kube-scheduler. */
const scorers: readonly { readonly weight: number; readonly score: Scorer }[] = [
  { weight: 3, score: fewUnwelcomeTaints },
  { weight: 2, score: preferredNodes },
  { weight: 2, score: spreadOut },
  { weight: 2, score: nearAndFar },
  { weight: 1, score: leastAllocated },
  { weight: 1, score: balanced },
];

/** The best of the nodes that can take the pod; between equals the one with fewest pods, then the first by name. */
export function bestNode(pod: Pod, candidates: readonly Candidate[], cluster: Cluster): Node | undefined {
  if (candidates.length <= 1) return candidates[0]?.node;
  const totals = candidates.map(() => 0);
  for (const { weight, score } of scorers) {
    for (const [index, value] of score(pod, candidates, cluster).entries()) totals[index]! += weight * Math.floor(value);
  }
  const order = candidates.map(({ node, running }, index) => ({ node, total: totals[index]!, pods: running.length }));
  order.sort((a, b) => b.total - a.total || a.pods - b.pods || (a.node.metadata.name < b.node.metadata.name ? -1 : 1));
  return order[0]!.node;
}

/** The most gets 100, the others their share. */
function shares(values: readonly number[]): number[] {
  const most = Math.max(0, ...values);
  return values.map((value) => (most === 0 ? 0 : (100 * value) / most));
}

/** The most gets 0, none 100. */
const inverse = (values: readonly number[]): number[] => shares(values).map((share) => 100 - share);

function fewUnwelcomeTaints(pod: Pod, candidates: readonly Candidate[]): number[] {
  return inverse(
    candidates.map(
      ({ node }) => (node.spec?.taints ?? []).filter((taint) => taint.effect === 'PreferNoSchedule' && !isTolerated(pod, taint)).length,
    ),
  );
}

function preferredNodes({ spec }: Pod, candidates: readonly Candidate[]): number[] {
  const preferred = spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  return shares(
    candidates.map(({ node }) => preferred.reduce((sum, { weight, preference }) => sum + (matchesTerm(preference, node) ? weight : 0), 0)),
  );
}

function spreadOut(pod: Pod, candidates: readonly Candidate[], cluster: Cluster): number[] {
  const values = crowding(pod, candidates, cluster);
  const known = values.filter((value) => value !== undefined);
  const [least, most] = [Math.min(...known), Math.max(...known)];
  return values.map((value) => (value === undefined ? 0 : most === 0 ? 100 : (100 * (most + least - value)) / most));
}

function nearAndFar(pod: Pod, candidates: readonly Candidate[], cluster: Cluster): number[] {
  const values = podAffinityScores(pod, candidates, cluster);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return values.map((value) => (most === least ? 0 : (100 * (value - least)) / (most - least)));
}

/** The shares of CPU and memory that would be requested with the pod on the node; of what has no limit nothing is used up. */
function requested(pod: Pod, { node, assumed }: Candidate): [number, number] {
  const wanted = nonZeroRequests(pod);
  const free = allocatableOf(node);
  return [Math.min(1, (assumed.cpu + wanted.cpu) / free.cpu), Math.min(1, (assumed.memory + wanted.memory) / free.memory)];
}

function leastAllocated(pod: Pod, candidates: readonly Candidate[]): number[] {
  return candidates.map((candidate) => {
    const [cpu, memory] = requested(pod, candidate);
    return (Math.floor((1 - cpu) * 100) + Math.floor((1 - memory) * 100)) / 2;
  });
}

/** CPU and memory used up alike leave most room for pods of any shape. */
function balanced(pod: Pod, candidates: readonly Candidate[]): number[] {
  return candidates.map((candidate) => {
    const [cpu, memory] = requested(pod, candidate);
    return (1 - Math.abs(cpu - memory) / 2) * 100;
  });
}
