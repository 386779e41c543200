import { matchesLabels, matchesLabelSelector, type Node, type Pod, type TopologySpreadConstraint } from '../../objects/client.ts';
import { controllerOf, isDeleting } from '../metadata.ts';
import { matchesNodeAffinity } from '../node-selection.ts';
import { isTolerated } from '../taints.ts';
import { type Candidate, type Cluster, topologyOf } from './cluster.ts';
import { withKeys } from './pod-affinity.ts';

interface Spread {
  readonly constraint: TopologySpreadConstraint;
  /** How many pods on a node count. */
  countOn(candidate: Candidate): number;
  /** Whether the pod to be placed counts itself. */
  readonly countsItself: boolean;
}

const spreadOver = (constraint: TopologySpreadConstraint, pod: Pod, counts: (other: Pod) => boolean): Spread => ({
  constraint,
  countOn: ({ running }) => running.filter(counts).length,
  countsItself: counts(pod),
});

function spreadsOf(pod: Pod, whenUnsatisfiable: TopologySpreadConstraint['whenUnsatisfiable']): Spread[] {
  return (pod.spec.topologySpreadConstraints ?? [])
    .filter((constraint) => constraint.whenUnsatisfiable === whenUnsatisfiable)
    .map((constraint) => {
      const selector = withKeys(
        constraint.labelSelector,
        constraint.matchLabelKeys ? { matchLabelKeys: constraint.matchLabelKeys } : {},
        pod,
      );
      return spreadOver(
        constraint,
        pod,
        (other) =>
          !isDeleting(other) &&
          other.metadata.namespace === pod.metadata.namespace &&
          matchesLabelSelector(selector, other.metadata.labels),
      );
    });
}

/** Whether the node's pods count for the constraint: by default those on nodes that the pod's own selectors allow. */
function isEligible(
  { nodeAffinityPolicy = 'Honor', nodeTaintsPolicy = 'Ignore' }: TopologySpreadConstraint,
  pod: Pod,
  node: Node,
): boolean {
  if (nodeAffinityPolicy === 'Honor' && !matchesNodeAffinity(pod.spec, node)) return false;
  return (
    nodeTaintsPolicy === 'Ignore' ||
    (node.spec?.taints ?? []).every((taint) => taint.effect === 'PreferNoSchedule' || isTolerated(pod, taint))
  );
}

/** How many pods count in each domain. Only nodes that have all the labels make domains. */
function domainCounts({ constraint, countOn }: Spread, all: readonly Spread[], pod: Pod, { nodes }: Cluster): Map<string, number> {
  const domains = new Map<string, number>();
  for (const candidate of nodes) {
    const { node } = candidate;
    const value = topologyOf(node, constraint.topologyKey);
    if (value === undefined || all.some((other) => topologyOf(node, other.constraint.topologyKey) === undefined)) continue;
    if (isEligible(constraint, pod, node)) domains.set(value, (domains.get(value) ?? 0) + countOn(candidate));
  }
  return domains;
}

const unevenReason = "node(s) didn't match pod topology spread constraints";

export interface SpreadRules {
  misfit(node: Node): { readonly reason: string; readonly helpless: boolean } | undefined;
}

/** What DoNotSchedule constraints leave of the nodes (KEP-895): nowhere may there be more than maxSkew over the emptiest domain. */
export function spreadRules(pod: Pod, cluster: Cluster): SpreadRules {
  const spreads = spreadsOf(pod, 'DoNotSchedule');
  const rules = spreads.map((spread) => {
    const domains = domainCounts(spread, spreads, pod, cluster);
    const enough = domains.size >= (spread.constraint.minDomains ?? 1);
    const least = enough && domains.size > 0 ? Math.min(...domains.values()) : 0;
    return { constraint: spread.constraint, domains, least, self: spread.countsItself ? 1 : 0 };
  });
  return {
    misfit(node) {
      for (const { constraint, domains, least, self } of rules) {
        const value = topologyOf(node, constraint.topologyKey);
        if (value === undefined) return { reason: `${unevenReason} (missing required label)`, helpless: true };
        if ((domains.get(value) ?? 0) + self - least > constraint.maxSkew) return { reason: unevenReason, helpless: false };
      }
      return undefined;
    },
  };
}

/**
 * How crowded each candidate's domains are, fewer being better; undefined for those out of the running for lack of a label. Pods that say nothing
 * themselves are spread over hosts and zones with those of their owner, or of their services.
 */
export function crowding(pod: Pod, candidates: readonly Candidate[], cluster: Cluster): (number | undefined)[] {
  const own = spreadsOf(pod, 'ScheduleAnyway');
  const spreads = own.length > 0 ? own : (pod.spec.topologySpreadConstraints ?? []).length > 0 ? [] : defaultSpreads(pod, cluster);
  if (spreads.length === 0) return candidates.map(() => 0);
  const strict = own.length > 0;
  const prepared = spreads.map((spread) => {
    const domains = domainCounts(spread, strict ? spreads : [], pod, cluster);
    const among = new Set(
      candidates.map(({ node }) => topologyOf(node, spread.constraint.topologyKey)).filter((value) => value !== undefined),
    );
    return { ...spread, domains, weight: Math.log(among.size + 2) };
  });
  return candidates.map(({ node }) => {
    let sum = 0;
    for (const { constraint, domains, weight } of prepared) {
      const value = topologyOf(node, constraint.topologyKey);
      if (value === undefined && strict) return undefined;
      if (value !== undefined) sum += (domains.get(value) ?? 0) * weight + (constraint.maxSkew - 1);
    }
    return Math.round(sum);
  });
}

function defaultSpreads(pod: Pod, cluster: Cluster): Spread[] {
  const constraints = [
    { topologyKey: 'kubernetes.io/hostname', maxSkew: 3, whenUnsatisfiable: 'ScheduleAnyway' },
    { topologyKey: 'topology.kubernetes.io/zone', maxSkew: 5, whenUnsatisfiable: 'ScheduleAnyway' },
  ] as const;
  const owner = controllerOf(pod)?.uid;
  if (owner !== undefined)
    return constraints.map((constraint) => ({ constraint, countOn: ({ byOwner }) => byOwner.get(owner) ?? 0, countsItself: true }));
  const counts = inSameServices(pod, cluster);
  return counts ? constraints.map((constraint) => spreadOver(constraint, pod, counts)) : [];
}

/** Whether another pod is behind all the services that this one is behind; undefined when there are none. */
function inSameServices(pod: Pod, cluster: Cluster): ((other: Pod) => boolean) | undefined {
  const { namespace = 'default', labels } = pod.metadata;
  const selectors = cluster
    .services(namespace)
    .map(({ spec }) => spec.selector ?? {})
    .filter((selector) => Object.keys(selector).length > 0 && matchesLabels(selector, labels));
  if (selectors.length === 0) return undefined;
  return (other) =>
    !isDeleting(other) &&
    other.metadata.namespace === namespace &&
    selectors.every((selector) => matchesLabels(selector, other.metadata.labels));
}
