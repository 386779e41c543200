import { type Family, tryParseAddress } from '../../net/index.ts';
import {
  type Endpoint,
  type EndpointPort,
  findCondition,
  fromTime,
  isPodReady,
  matchesLabels,
  type Pod,
  resources,
  type Service,
  type ServicePort,
} from '../../objects/client.ts';
import { isDeleting, isPodFinished } from '../metadata.ts';
import type { ClusterView } from '../view.ts';

/** One pod as an endpoint of a service in one address family. */
export interface PodEndpoint {
  readonly endpoint: Endpoint;
  /** Ports with named targets resolved for this pod; a port whose name the pod lacks is left out. */
  readonly ports: readonly EndpointPort[];
  /** When the pod last changed what the endpoint says (ms since the epoch). */
  readonly changedAt: number;
}

/** The families that a service's endpoints are listed in, the primary first. */
export function familiesOf({ spec }: Service): Family[] {
  if (spec.ipFamilies?.length) return spec.ipFamilies.map((family) => (family === 'IPv6' ? 6 : 4));
  const ips = (spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : [])).flatMap((ip) => tryParseAddress(ip)?.family ?? []);
  return ips.length ? ips : [4];
}

/** Whether the controllers make endpoints for the service: it has a selector and is no mere name. */
export const hasEndpoints = ({ spec }: Service): boolean => spec.type !== 'ExternalName' && Object.keys(spec.selector ?? {}).length > 0;

export const isHeadless = ({ spec }: Service): boolean => spec.clusterIP === 'None';

/** Pods behind the service that have an address and have not run to their end, in order of name. */
export const podsBehind = (service: Service, view: ClusterView): Pod[] =>
  view
    .list(resources.pods, service.metadata.namespace)
    .filter((pod) => matchesLabels(service.spec.selector, pod.metadata.labels) && !isPodFinished(pod) && addressesOf(pod).length > 0)
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));

const addressesOf = ({ status }: Pod): string[] => status?.podIPs?.map(({ ip }) => ip) ?? (status?.podIP ? [status.podIP] : []);

/** The pod as an endpoint; undefined when it has no address of the family. */
export function podEndpoint(service: Service, pod: Pod, family: Family, view: ClusterView): PodEndpoint | undefined {
  const address = addressesOf(pod).find((ip) => tryParseAddress(ip)?.family === family);
  if (address === undefined) return undefined;
  const serving = isPodReady(pod);
  const terminating = isDeleting(pod);
  const { nodeName, hostname, subdomain } = pod.spec;
  const zone = nodeName === undefined ? undefined : view.get(resources.nodes, nodeName)?.metadata.labels?.['topology.kubernetes.io/zone'];
  const { name, namespace = 'default', uid } = pod.metadata;
  const ready = findCondition(pod.status?.conditions, 'Ready');
  return {
    endpoint: {
      addresses: [address],
      conditions: { ready: service.spec.publishNotReadyAddresses === true || (serving && !terminating), serving, terminating },
      ...(hostname && subdomain === service.metadata.name ? { hostname } : {}),
      ...(nodeName === undefined ? {} : { nodeName }),
      ...(zone === undefined ? {} : { zone }),
      targetRef: { kind: 'Pod', namespace, name, ...(uid === undefined ? {} : { uid }) },
    },
    ports: (service.spec.ports ?? []).flatMap((port) => endpointPort(port, pod) ?? []),
    changedAt: Math.max(fromTime(ready?.lastTransitionTime), fromTime(pod.metadata.creationTimestamp)),
  };
}

function endpointPort(port: ServicePort, pod: Pod): EndpointPort | undefined {
  const { protocol = 'TCP', targetPort, name = '', appProtocol } = port;
  const number = typeof targetPort === 'string' ? namedPort(pod, targetPort, protocol) : targetPort || port.port;
  return number === undefined ? undefined : { name, protocol, port: number, ...(appProtocol === undefined ? {} : { appProtocol }) };
}

/** The container port of that name and protocol. Sidecars, which are init containers that stay, count as well. */
function namedPort({ spec }: Pod, name: string, protocol: string): number | undefined {
  if (/^\d+$/.test(name)) return Number(name);
  const sidecars = (spec.initContainers ?? []).filter((container) => (container as { restartPolicy?: string }).restartPolicy === 'Always');
  const ports = [...spec.containers, ...sidecars].flatMap((container) => container.ports ?? []);
  return ports.find((port) => port.name === name && (port.protocol ?? 'TCP') === protocol)?.containerPort;
}
