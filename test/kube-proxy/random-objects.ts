import type { EndpointSlice, Service } from '../../src/objects/index.ts';

/** A small generator with a seed, so that a failure comes again. */
function randomFrom(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

/** A few services of every kind, with both families' addresses, and their slices. */
export function randomObjects(seed: number): { services: Service[]; endpointSlices: EndpointSlice[] } {
  const random = randomFrom(seed);
  const one = <T>(...choices: T[]): T => choices[random(choices.length)]!;
  const services: Service[] = [];
  const endpointSlices: EndpointSlice[] = [];
  for (let i = 0; i < 1 + random(8); i++) {
    const protocol = one('TCP', 'UDP', 'SCTP' as const) as 'TCP';
    const type = one('ClusterIP', 'NodePort', 'LoadBalancer' as const) as 'ClusterIP';
    const metadata = { name: `service-${'x'.repeat(random(50))}${i}`, namespace: `namespace-${'y'.repeat(random(50))}` };
    services.push({
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: {
        type,
        clusterIP: `10.96.0.${i}`,
        clusterIPs: [`10.96.0.${i}`, `fd00:10:96::${i + 1}`],
        ports: [{ name: 'port', port: 1 + random(65_535), protocol, ...(type === 'ClusterIP' ? {} : { nodePort: 30_000 + i }) }],
        internalTrafficPolicy: one('Cluster', 'Local'),
        externalTrafficPolicy: one('Cluster', 'Local'),
        sessionAffinity: one('None', 'ClientIP'),
        externalIPs: one([], [`203.0.113.${i}`, `2001:db8::${i}`]),
        loadBalancerSourceRanges: one([], ['0.0.0.0/0', '::/0'], ['198.51.100.0/24', '192.168.88.0/24', '2001:db8::/32']),
        healthCheckNodePort: 31_000 + i,
      },
      status: { loadBalancer: { ingress: [{ ip: `203.0.113.${100 + i}` }, { ip: `2001:db8:1::${i}` }] } },
    });
    for (const family of [4, 6] as const) {
      endpointSlices.push({
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: {
          name: `${metadata.name}-${family}`,
          namespace: metadata.namespace,
          labels: { 'kubernetes.io/service-name': metadata.name },
        },
        addressType: `IPv${family}`,
        ports: [{ name: 'port', port: 1 + random(65_535), protocol }],
        endpoints: Array.from({ length: random(6) }, (_, index) => ({
          addresses: [family === 4 ? `10.244.1.${index + 2}` : `fd00:10:244:1::${index + 2}`],
          nodeName: one('node1', 'node2'),
          conditions: { ready: random(4) > 0, serving: true, terminating: random(3) === 0 },
        })),
      });
    }
  }
  return { services, endpointSlices };
}
