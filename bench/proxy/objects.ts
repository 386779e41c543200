import type { EndpointSlice, Service } from '../../src/objects/index.ts';

/** The node that the proxy is measured on; one of three endpoints of each service is on it. */
export const nodeName = 'worker-1';

/** The pod CIDR of {@link endpointsOf}'s addresses. */
export const clusterCIDR = '10.128.0.0/9';

export interface Objects {
  readonly services: Service[];
  readonly slices: EndpointSlice[];
}

const name = (index: number): string => `service-${String(index).padStart(6, '0')}`;

/** 10.96.0.0/16 and on. */
export const clusterIP = (index: number): string => `10.${96 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;

const endpointsOf = (index: number): string[] =>
  [0, 1, 2].map((slot) => `10.${128 + slot * 16 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`);

/** Cluster IP services with one TCP port and three ready endpoints each. */
export function objectsOf(count: number): Objects {
  const indexes = Array.from({ length: count }, (_, index) => index);
  return { services: indexes.map(serviceOf), slices: indexes.map((index) => sliceOf(index)) };
}

export const serviceOf = (index: number): Service => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: name(index), namespace: 'default' },
  spec: { clusterIP: clusterIP(index), ports: [{ name: 'http', port: 80, protocol: 'TCP' }] },
});

export const sliceOf = (index: number, addresses: readonly string[] = endpointsOf(index)): EndpointSlice => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: `${name(index)}-1`, namespace: 'default', labels: { 'kubernetes.io/service-name': name(index) } },
  addressType: 'IPv4',
  ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  endpoints: addresses.map((address, slot) => ({
    addresses: [address],
    nodeName: slot === 0 ? nodeName : 'worker-2',
    conditions: { ready: true },
  })),
});

/** The slice after one of its endpoints was replaced; `round` decides by which. */
export const sliceWithAnother = (index: number, round: number): EndpointSlice =>
  sliceOf(index, [...endpointsOf(index).slice(0, 2), `10.250.${(round >> 8) & 255}.${round & 255}`]);
