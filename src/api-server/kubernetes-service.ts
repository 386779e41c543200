import { isLoopback, nthAddress, type Prefix, parseAddress } from '../net/index.ts';
import { type AnyObject, resources } from '../objects/index.ts';
import { ensureFields, kindOf } from './bootstrap.ts';
import type { Registry } from './registry/registry.ts';
import type { ServerAddress } from './server-leases.ts';

export interface KubernetesServiceOptions {
  readonly advertiseAddress: string;
  readonly securePort: number;
  readonly serviceClusterIPRanges: readonly Prefix[];
}

const name = 'kubernetes';
const namespace = 'default';

/**
 * Keeps the Service `kubernetes`, by which pods reach the API server: first cluster IP of the range, port 443, and as endpoints the API servers
 * that are alive. Repairs what others changed. All servers make the same of the same `servers`, so they do not undo each other's work.
 */
export async function ensureKubernetesService(
  registry: Registry,
  options: KubernetesServiceOptions,
  servers: readonly ServerAddress[] = [{ ip: options.advertiseAddress, port: options.securePort }],
): Promise<void> {
  const { service, endpoints, endpointSlice } = kubernetesService(options, servers);
  await ensureFields(registry, kindOf(resources.services), namespace, service);
  // A loopback address leads every client to itself; no endpoint may have one.
  if (isLoopback(options.advertiseAddress)) return;
  await ensureFields(registry, kindOf(resources.endpoints), namespace, endpoints);
  await ensureFields(registry, kindOf(resources.endpointSlices), namespace, endpointSlice);
}

function kubernetesService({ serviceClusterIPRanges }: KubernetesServiceOptions, alive: readonly ServerAddress[]) {
  const servers = [...alive].sort((a, b) => a.port - b.port || (a.ip < b.ip ? -1 : 1));
  const { ip: first, port: securePort } = servers[0]!;
  const range = serviceClusterIPRanges[0]!;
  const clusterIP = nthAddress(range, 1n).text;
  const portOf = (port: number) => ({ name: 'https', port, protocol: 'TCP' });
  const addressesAt = (port: number): string[] => servers.filter((server) => server.port === port).map(({ ip }) => ip);
  const service: AnyObject = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace, labels: { component: 'apiserver', provider: 'kubernetes' } },
    spec: {
      type: 'ClusterIP',
      clusterIP,
      clusterIPs: [clusterIP],
      ipFamilies: [range.family === 4 ? 'IPv4' : 'IPv6'],
      ipFamilyPolicy: 'SingleStack',
      internalTrafficPolicy: 'Cluster',
      sessionAffinity: 'None',
      ports: [{ name: 'https', port: 443, protocol: 'TCP', targetPort: securePort }],
    },
  };
  const endpoints: AnyObject = {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: { name, namespace, labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } },
    subsets: [...new Set(servers.map(({ port }) => port))].map((port) => ({
      addresses: addressesAt(port).map((ip) => ({ ip })),
      ports: [portOf(port)],
    })),
  };
  const endpointSlice: AnyObject = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace, labels: { 'kubernetes.io/service-name': name } },
    addressType: parseAddress(first).family === 4 ? 'IPv4' : 'IPv6',
    // A slice has one set of ports and one family; servers of one cluster listen on the same port.
    endpoints: addressesAt(securePort)
      .filter((ip) => parseAddress(ip).family === parseAddress(first).family)
      .map((ip) => ({ addresses: [ip], conditions: { ready: true } })),
    ports: [portOf(securePort)],
  };
  return { service, endpoints, endpointSlice };
}
