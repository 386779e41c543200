import type { Container, Pod } from '../../objects/client.ts';
import { expandReferences } from './expand.ts';

/** What a container's environment may tell about where the pod runs. */
export interface PodPlace {
  readonly nodeName: string;
  /** The node's addresses, primary family first. */
  readonly hostIPs: readonly string[];
  /** The pod's addresses, primary family first. */
  readonly podIPs: readonly string[];
}

/** A container whose configuration cannot be made; kubelet's reason for it is CreateContainerConfigError. */
export class ContainerConfigError extends Error {
  constructor(container: string, problem: string) {
    super(`container ${JSON.stringify(container)}: ${problem}`);
    this.name = 'ContainerConfigError';
  }
}

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The variables of a container, in order: the runtime's own, then its `env` with references expanded. @throws ContainerConfigError */
export function containerEnvironment(pod: Pod, container: Container, place: PodPlace): ReadonlyMap<string, string> {
  const variables = new Map([
    ['PATH', defaultPath],
    ['HOSTNAME', podHostname(pod, place.nodeName)],
    ['HOME', '/root'],
  ]);
  if ((container as { envFrom?: unknown[] }).envFrom?.length)
    throw new ContainerConfigError(container.name, 'envFrom is not supported by the pod runner');
  for (const { name, value, valueFrom } of container.env ?? []) {
    if (valueFrom === undefined) variables.set(name, expandReferences(value ?? '', variables));
    else if (valueFrom.fieldRef) variables.set(name, fieldValue(pod, container.name, valueFrom.fieldRef.fieldPath, place));
    else
      throw new ContainerConfigError(
        container.name,
        `env ${name}: valueFrom.${Object.keys(valueFrom)[0]} is not supported by the pod runner; only fieldRef is`,
      );
  }
  return variables;
}

/** The name a pod has for itself. On the host's network that is the node's. */
export const podHostname = (pod: Pod, nodeName: string): string =>
  pod.spec.hostNetwork ? nodeName : (pod.spec.hostname ?? pod.metadata.name).slice(0, 63);

/** The downward API's field paths (core/v1 ObjectFieldSelector). */
function fieldValue(pod: Pod, container: string, path: string, { nodeName, hostIPs, podIPs }: PodPlace): string {
  const { metadata } = pod;
  const subscript = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(path);
  if (subscript) return metadata[subscript[1] as 'labels' | 'annotations']?.[subscript[2]!] ?? '';
  const fields: Record<string, () => string> = {
    'metadata.name': () => metadata.name,
    'metadata.namespace': () => metadata.namespace ?? '',
    'metadata.uid': () => metadata.uid ?? '',
    'spec.nodeName': () => nodeName,
    'spec.serviceAccountName': () => pod.spec.serviceAccountName ?? '',
    'status.hostIP': () => hostIPs[0] ?? '',
    'status.hostIPs': () => hostIPs.join(','),
    'status.podIP': () => podIPs[0] ?? '',
    'status.podIPs': () => podIPs.join(','),
  };
  const field = Object.hasOwn(fields, path) ? fields[path] : undefined;
  if (!field) throw new ContainerConfigError(container, `fieldRef ${JSON.stringify(path)} is not a field path that the pod runner knows`);
  return field();
}
