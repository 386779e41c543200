import { type Address, isPort, type Protocol, tryParseAddress } from '../net/index.ts';
import type { Namespace, NetworkPolicy, Pod } from '../objects/client.ts';

/** The whole input of the compiler. Objects are never mutated. */
export interface NetpolInput {
  readonly nodeName: string;
  readonly policies: Iterable<NetworkPolicy>;
  readonly pods: Iterable<Pod>;
  readonly namespaces: Iterable<Namespace>;
}

/** A pod as policies see it: on the pod network, with addresses, not completed. */
export interface PodEndpoint {
  /** `namespace/name`. */
  readonly id: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly addresses: readonly Address[];
  /** True on this node. */
  readonly isLocal: boolean;
  readonly ports: readonly { readonly name: string; readonly protocol: Protocol; readonly port: number }[];
}

/**
 * The pods that policies select and allow, by id. Pods on the host's network are none: their addresses are their node's, and what their node does
 * cannot be told from what they do. A completed pod has given its addresses back, maybe to another pod.
 */
export function podEndpoints({ nodeName, pods }: Pick<NetpolInput, 'nodeName' | 'pods'>): PodEndpoint[] {
  const found: PodEndpoint[] = [];
  for (const { metadata, spec, status } of pods) {
    if (spec.hostNetwork || status?.phase === 'Succeeded' || status?.phase === 'Failed') continue;
    const texts = status?.podIPs?.length ? status.podIPs.map(({ ip }) => ip) : [status?.podIP ?? ''];
    const addresses = texts.flatMap((text) => tryParseAddress(text) ?? []);
    if (addresses.length === 0) continue;
    found.push({
      id: `${metadata.namespace}/${metadata.name}`,
      namespace: metadata.namespace ?? '',
      labels: metadata.labels ?? {},
      addresses,
      isLocal: spec.nodeName === nodeName,
      ports: [...(spec.containers ?? []), ...(spec.initContainers ?? [])].flatMap((container) =>
        (container.ports ?? []).flatMap(({ name, protocol, containerPort }) =>
          name && isPort(containerPort) ? [{ name, protocol: protocol ?? 'TCP', port: containerPort }] : [],
        ),
      ),
    });
  }
  return found.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Labels of each namespace. Its name is always among them, as the API server sees to (KEP-2161). */
export function namespaceLabels(namespaces: Iterable<Namespace>): (namespace: string) => Readonly<Record<string, string>> {
  const labels = new Map<string, Readonly<Record<string, string>>>();
  const nameLabel = (name: string): Readonly<Record<string, string>> => ({ 'kubernetes.io/metadata.name': name });
  for (const { metadata } of namespaces) labels.set(metadata.name, { ...nameLabel(metadata.name), ...metadata.labels });
  return (namespace) => labels.get(namespace) ?? nameLabel(namespace);
}
