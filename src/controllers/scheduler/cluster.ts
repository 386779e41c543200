import { type Namespace, type Node, type Pod, resources, type Service } from '../../objects/client.ts';
import { controllerOf, isDeleting, isPodFinished } from '../metadata.ts';
import type { ClusterView } from '../view.ts';
import { type HostPort, hostPorts } from './host-ports.ts';
import { addAmounts, type Amounts, noAmounts, nonZeroRequests, requestsOf } from './requests.ts';

/** What the pods on a node amount to. */
interface Load {
  /** Those that have not ended; those on their way to the node included. */
  readonly running: readonly Pod[];
  readonly used: Amounts;
  /** Requests with something assumed for pods that request nothing. */
  readonly assumed: { readonly cpu: number; readonly memory: number };
  readonly ports: readonly HostPort[];
  /** How many pods of each controller, by its uid, without those on their way out. */
  readonly byOwner: ReadonlyMap<string, number>;
  /** Of the running, those that say which pods they want near them or not. */
  readonly choosy: readonly Pod[];
}

export interface Candidate extends Load {
  readonly node: Node;
}

/** The cluster as one decision sees it. */
export interface Cluster {
  readonly nodes: readonly Candidate[];
  namespaceLabels(name: string): Readonly<Record<string, string>>;
  services(namespace: string): readonly Service[];
}

/** The view gives the same array as long as a node's pods are the same. */
const loads = new WeakMap<readonly Pod[], Load>();

function loadOf(pods: readonly Pod[]): Load {
  const before = loads.get(pods);
  if (before) return before;
  const running = pods.filter((pod) => !isPodFinished(pod));
  const assumed = running
    .map(nonZeroRequests)
    .reduce((a, b) => ({ cpu: a.cpu + b.cpu, memory: a.memory + b.memory }), { cpu: 0, memory: 0 });
  const load: Load = {
    running,
    used: running.map(requestsOf).reduce(addAmounts, noAmounts),
    assumed,
    ports: running.flatMap(hostPorts),
    byOwner: countOwners(running),
    choosy: running.filter(({ spec }) => spec.affinity?.podAffinity ?? spec.affinity?.podAntiAffinity),
  };
  loads.set(pods, load);
  return load;
}

function countOwners(pods: readonly Pod[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const pod of pods) {
    const uid = isDeleting(pod) ? undefined : controllerOf(pod)?.uid;
    if (uid !== undefined) counts.set(uid, (counts.get(uid) ?? 0) + 1);
  }
  return counts;
}

export const clusterOf = (view: ClusterView): Cluster => ({
  nodes: view.list(resources.nodes).map((node) => ({ node, ...loadOf(view.podsOnNode(node.metadata.name)) })),
  namespaceLabels: (name) => (view.get(resources.namespaces, name) as Namespace | undefined)?.metadata.labels ?? {},
  services: (namespace) => view.list(resources.services, namespace),
});

/** A label of the node; its host name is its own name when nothing else is said. */
export const topologyOf = ({ metadata }: Node, key: string): string | undefined =>
  metadata.labels?.[key] ?? (key === 'kubernetes.io/hostname' ? metadata.name : undefined);
