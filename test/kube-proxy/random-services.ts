import fc from 'fast-check';
import type { EndpointSlice, Service } from '../../src/objects/index.ts';
import { endpoint, slice } from './objects.ts';

// Small ranges, so that collisions happen: two services with one external address, a port asked for under another protocol, a pod as the client.
export const protocols = ['TCP', 'UDP', 'SCTP'] as const;
export const ports = [80, 443] as const;
export const nodeAddresses = ['192.168.88.12', '10.244.1.1'];
export const external = ['203.0.113.7', '203.0.113.8'];
export const pods = ['10.244.1.2', '10.244.1.3', '10.244.2.2', '10.244.2.3'];

export const servicePlan = fc.record({
  type: fc.constantFrom('ClusterIP', 'NodePort', 'LoadBalancer'),
  protocol: fc.constantFrom(...protocols),
  port: fc.constantFrom(...ports),
  internalTrafficPolicy: fc.constantFrom('Cluster', 'Local'),
  externalTrafficPolicy: fc.constantFrom('Cluster', 'Local'),
  sessionAffinity: fc.constantFrom('None', 'ClientIP'),
  externalIPs: fc.subarray(external),
  ingress: fc.subarray(['203.0.113.9']),
  sourceRanges: fc.subarray(['198.51.100.0/24', '192.168.88.0/24']),
  endpoints: fc.uniqueArray(
    fc.record({
      address: fc.constantFrom(...pods),
      state: fc.constantFrom('ready', 'ready', 'unready', 'serving-terminating', 'terminating'),
    }),
    { selector: ({ address }) => address, maxLength: 4 },
  ),
});

export const optionsPlan = fc.record({
  masqueradeAll: fc.boolean(),
  localhostNodePorts: fc.boolean(),
  clusterCIDRs: fc.constantFrom<string[]>(['10.244.0.0/16'], []),
  nodePortAddresses: fc.constantFrom<string[]>([], ['192.168.88.0/24'], ['127.0.0.0/8', '10.244.1.0/24'], ['primary'], ['0.0.0.0/0']),
});

export type ServicePlan = typeof servicePlan extends fc.Arbitrary<infer T> ? T : never;

export function objectsOf(plans: readonly ServicePlan[]): { services: Service[]; endpointSlices: EndpointSlice[] } {
  const services = plans.map(
    (plan, index): Service => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: `s${index}`, namespace: 'default' },
      spec: {
        type: plan.type as 'ClusterIP',
        clusterIP: `10.96.0.${index}`,
        ports: [
          { name: 'http', port: plan.port, protocol: plan.protocol, ...(plan.type === 'ClusterIP' ? {} : { nodePort: 30_000 + index }) },
        ],
        internalTrafficPolicy: plan.internalTrafficPolicy as 'Cluster',
        externalTrafficPolicy: plan.externalTrafficPolicy as 'Cluster',
        sessionAffinity: plan.sessionAffinity as 'None',
        externalIPs: plan.externalIPs,
        loadBalancerSourceRanges: plan.sourceRanges,
      },
      status: { loadBalancer: { ingress: plan.ingress.map((ip) => ({ ip })) } },
    }),
  );
  const endpointSlices = plans.map((plan, index) =>
    slice(
      plan.endpoints.map(({ address, state }) =>
        endpoint(address, address.startsWith('10.244.1.') ? 'worker-1' : 'worker-2', state as 'ready'),
      ),
      { ports: [{ name: 'http', port: 8080, protocol: plan.protocol }] },
      `s${index}-1`,
      `s${index}`,
    ),
  );
  return { services, endpointSlices };
}
