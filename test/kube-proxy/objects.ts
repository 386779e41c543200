import type { Endpoint, EndpointSlice, Node, Service } from '../../src/objects/index.ts';

export const service = (
  spec: Partial<Service['spec']>,
  metadata: Partial<Service['metadata']> = {},
  status?: Service['status'],
): Service => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', namespace: 'default', ...metadata },
  spec: { type: 'ClusterIP', clusterIP: '10.96.0.20', ports: [{ name: 'http', port: 80, protocol: 'TCP' }], ...spec },
  ...(status ? { status } : {}),
});

export const slice = (endpoints: readonly Endpoint[], more: Partial<EndpointSlice> = {}, name = 'web-1', of = 'web'): EndpointSlice => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name, namespace: 'default', labels: { 'kubernetes.io/service-name': of } },
  addressType: 'IPv4',
  ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  endpoints: [...endpoints],
  ...more,
});

type State = 'ready' | 'unready' | 'published' | 'serving-terminating' | 'terminating';
const conditions = {
  ready: { ready: true, serving: true, terminating: false },
  unready: { ready: false, serving: false, terminating: false },
  // Not ready, of a Service with publishNotReadyAddresses.
  published: { ready: true, serving: false, terminating: false },
  'serving-terminating': { ready: false, serving: true, terminating: true },
  terminating: { ready: false, serving: false, terminating: true },
};

export const endpoint = (address: string, nodeName: string, state: State = 'ready', more: Partial<Endpoint> = {}): Endpoint => ({
  addresses: [address],
  nodeName,
  conditions: conditions[state],
  ...more,
});

export const node = (name = 'worker-1', zone?: string): Node => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, ...(zone ? { labels: { 'topology.kubernetes.io/zone': zone } } : {}) },
  spec: { podCIDRs: ['10.244.1.0/24', 'fd00:10:244:1::/64'] },
  status: {
    addresses: [
      { type: 'InternalIP', address: '192.168.88.12' },
      { type: 'InternalIP', address: 'fd00:88::12' },
    ],
  },
});
