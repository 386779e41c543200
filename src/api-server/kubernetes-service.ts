import { nthAddress, type Prefix, parseAddress } from '../net/index.ts';
import { isLoopback } from './loopback.ts';
import { type AnyObject, resources } from '../objects/index.ts';
import { ensureFields, kindOf } from './bootstrap.ts';
import type { Registry } from './registry/registry.ts';

export interface KubernetesServiceOptions {
  readonly advertiseAddress: string;
  readonly securePort: number;
  readonly serviceClusterIPRanges: readonly Prefix[];
}

const name = 'kubernetes';
const namespace = 'default';

/**
 * Keeps the Service `kubernetes`, by which pods reach the API server: first cluster IP of the range, port 443, and one endpoint, this server.
 * Repairs what others changed. (With several API servers the endpoints come from leases, as in the reference.)
 */
export async function ensureKubernetesService(registry: Registry, options: KubernetesServiceOptions): Promise<void> {
  const { service, endpoints, endpointSlice } = kubernetesService(options);
  await ensureFields(registry, kindOf(resources.services), namespace, service);
  // A loopback address leads every client to itself; no endpoint may have one.
  if (isLoopback(options.advertiseAddress)) return;
  await ensureFields(registry, kindOf(resources.endpoints), namespace, endpoints);
  await ensureFields(registry, kindOf(resources.endpointSlices), namespace, endpointSlice);
}

function kubernetesService({ advertiseAddress, securePort, serviceClusterIPRanges }: KubernetesServiceOptions) {
  const range = serviceClusterIPRanges[0]!;
  const clusterIP = nthAddress(range, 1n).text;
  const port = { name: 'https', port: securePort, protocol: 'TCP' };
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
    subsets: [{ addresses: [{ ip: advertiseAddress }], ports: [port] }],
  };
  const endpointSlice: AnyObject = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace, labels: { 'kubernetes.io/service-name': name } },
    addressType: parseAddress(advertiseAddress).family === 4 ? 'IPv4' : 'IPv6',
    endpoints: [{ addresses: [advertiseAddress], conditions: { ready: true } }],
    ports: [port],
  };
  return { service, endpoints, endpointSlice };
}
