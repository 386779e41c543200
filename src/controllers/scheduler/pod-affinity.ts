import { type LabelSelector, matchesLabelSelector, type Node, type Pod, type PodAffinityTerm } from '../../objects/client.ts';
import { type Candidate, type Cluster, topologyOf } from './cluster.ts';

/** Whether a term of `owner` is about the other pod: its namespace and its labels. */
function termMatches(term: PodAffinityTerm, owner: Pod, other: Pod, cluster: Cluster): boolean {
  const { namespaces = [], namespaceSelector, labelSelector } = term;
  const namespace = other.metadata.namespace ?? 'default';
  const own = namespaces.length === 0 && namespaceSelector === undefined;
  const inReach = own
    ? namespace === (owner.metadata.namespace ?? 'default')
    : namespaces.includes(namespace) ||
      (namespaceSelector !== undefined && matchesLabelSelector(namespaceSelector, cluster.namespaceLabels(namespace)));
  return inReach && matchesLabelSelector(withKeys(labelSelector, term, owner), other.metadata.labels);
}

/** matchLabelKeys and mismatchLabelKeys: the other pod's value is, or is not, the owner's (KEP-3633). */
export function withKeys(
  selector: LabelSelector | undefined,
  { matchLabelKeys = [], mismatchLabelKeys = [] }: Pick<PodAffinityTerm, 'matchLabelKeys' | 'mismatchLabelKeys'>,
  owner: Pod,
): LabelSelector | undefined {
  if (!selector || matchLabelKeys.length + mismatchLabelKeys.length === 0) return selector;
  const labels = owner.metadata.labels ?? {};
  const requirement = (operator: 'In' | 'NotIn') => (key: string) =>
    labels[key] === undefined ? [] : [{ key, operator, values: [labels[key]] }];
  const added = [...matchLabelKeys.flatMap(requirement('In')), ...mismatchLabelKeys.flatMap(requirement('NotIn'))];
  return { ...selector, matchExpressions: [...(selector.matchExpressions ?? []), ...added] };
}

const pair = (term: PodAffinityTerm, node: Node): string | undefined => {
  const value = topologyOf(node, term.topologyKey);
  return value === undefined ? undefined : `${term.topologyKey}=${value}`;
};

export interface PodAffinityRules {
  /** Why the node is out; undefined when it is not. */
  misfit(node: Node): { readonly reason: string; readonly helpless: boolean } | undefined;
}

const noRules: PodAffinityRules = { misfit: () => undefined };

/** What required affinity and anti-affinity, the pod's own and that of pods which run already, leave of the nodes. */
export function podAffinityRules(pod: Pod, cluster: Cluster): PodAffinityRules {
  const wants = pod.spec.affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
  const avoids = pod.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
  const shunned = pairsShunningPod(pod, cluster);
  if (wants.length + avoids.length + shunned.size === 0) return noRules;

  // Only pods that satisfy every term of the affinity count for any of them.
  const friends =
    wants.length > 0 ? placesWith((other) => wants.every((term) => termMatches(term, pod, other, cluster)), cluster.nodes) : [];
  const wanted = wants.map((term) => new Set(friends.map((node) => pair(term, node))));
  const first = wants.length > 0 && friends.length === 0 && wants.every((term) => termMatches(term, pod, pod, cluster));
  const avoided = avoids.map((term) => {
    const places = placesWith((other) => termMatches(term, pod, other, cluster), cluster.nodes);
    return new Set(places.map((node) => pair(term, node)));
  });
  return {
    misfit(node) {
      const near = wants.every((term, index) => {
        const own = pair(term, node);
        return own !== undefined && (first || wanted[index]!.has(own));
      });
      if (!near) return { reason: "node(s) didn't match pod affinity rules", helpless: true };
      const far = avoids.every((term, index) => {
        const own = pair(term, node);
        return own === undefined || !avoided[index]!.has(own);
      });
      if (!far) return { reason: "node(s) didn't match pod anti-affinity rules", helpless: false };
      for (const [key, values] of shunned) {
        const value = topologyOf(node, key);
        if (value !== undefined && values.has(value))
          return { reason: "node(s) didn't satisfy existing pods anti-affinity rules", helpless: false };
      }
      return undefined;
    },
  };
}

const placesWith = (matches: (pod: Pod) => boolean, nodes: readonly Candidate[]): Node[] =>
  nodes.filter(({ running }) => running.some(matches)).map(({ node }) => node);

/** Values of topology labels where a pod runs that does not want this one near it, by label. */
function pairsShunningPod(pod: Pod, cluster: Cluster): Map<string, Set<string>> {
  const shunned = new Map<string, Set<string>>();
  for (const { node, choosy } of cluster.nodes) {
    for (const other of choosy) {
      for (const term of other.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []) {
        const value = topologyOf(node, term.topologyKey);
        if (value === undefined || !termMatches(term, other, pod, cluster)) continue;
        shunned.set(term.topologyKey, (shunned.get(term.topologyKey) ?? new Set()).add(value));
      }
    }
  }
  return shunned;
}

/** Points that preferred affinity gives each node, in the order of `candidates`; a required term of a running pod counts as one point. */
export function podAffinityScores(pod: Pod, candidates: readonly Candidate[], cluster: Cluster): number[] {
  const points = new Map<string, number>();
  const give = (term: PodAffinityTerm, node: Node, weight: number): void => {
    const key = pair(term, node);
    if (key !== undefined) points.set(key, (points.get(key) ?? 0) + weight);
  };
  const own = preferences(pod);
  for (const { node, running, choosy } of cluster.nodes) {
    if (own.length > 0)
      for (const other of running) for (const { term, weight } of own) if (termMatches(term, pod, other, cluster)) give(term, node, weight);
    for (const other of choosy) {
      const required = other.spec.affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
      for (const { term, weight } of [...preferences(other), ...required.map((term) => ({ term, weight: 1 }))])
        if (termMatches(term, other, pod, cluster)) give(term, node, weight);
    }
  }
  if (points.size === 0) return candidates.map(() => 0);
  const split = [...points].map(([key, value]) => ({ key: key.slice(0, key.indexOf('=')), pair: key, value }));
  return candidates.map(({ node }) =>
    split.reduce((sum, { key, pair: of, value }) => sum + (`${key}=${topologyOf(node, key)}` === of ? value : 0), 0),
  );
}

function preferences({ spec: { affinity } }: Pod): { readonly term: PodAffinityTerm; readonly weight: number }[] {
  const near = affinity?.podAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  const far = affinity?.podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  return [
    ...near.map(({ podAffinityTerm: term, weight }) => ({ term, weight })),
    ...far.map(({ podAffinityTerm: term, weight }) => ({ term, weight: -weight })),
  ];
}
