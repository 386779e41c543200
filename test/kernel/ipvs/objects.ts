import type { ProxyInput } from '../../../src/kube-proxy/index.ts';
import type { EndpointSlice, Service } from '../../../src/objects/index.ts';
import { endpoint, node, slice } from '../../kube-proxy/objects.ts';

export interface ServiceSpread {
  readonly services: number;
  /** Of each service. */
  readonly endpoints: number;
}

/** Services that have between them everything that mode ipvs prints something for. */
export function spreadObjects(family: 4 | 6, { services: count, endpoints }: ServiceSpread): ProxyInput {
  const address = (v4: string, v6: string): string => (family === 4 ? v4 : v6);
  const services: Service[] = [];
  const endpointSlices: EndpointSlice[] = [];
  for (let index = 0; index < count; index++) {
    const protocol = (['TCP', 'UDP', 'SCTP'] as const)[index % 3]!;
    const isBalancer = index % 4 === 1;
    const directReturn = index === 3;
    const ports = [
      { name: 'main', port: 80, protocol, ...(index % 2 === 1 ? { nodePort: 30_000 + index } : {}) },
      { name: 'more', port: 443, protocol: 'TCP' as const },
    ];
    services.push({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: {
        name: `s${index}`,
        namespace: 'default',
        annotations: {
          ...(directReturn ? { 'kube-router.io/service.dsr': 'tunnel' } : {}),
          ...(index === 2 ? { 'kube-router.io/service.scheduler': 'sh', 'kube-router.io/service.schedflags': 'flag-1,flag-2' } : {}),
        },
      },
      spec: {
        type: index % 2 === 0 ? 'ClusterIP' : isBalancer ? 'LoadBalancer' : 'NodePort',
        clusterIP: address(`10.96.0.${index + 1}`, `fd00:10:96::${index + 1}`),
        ports,
        externalTrafficPolicy: index % 8 === 1 || index === 7 ? 'Local' : 'Cluster',
        internalTrafficPolicy: index === 6 ? 'Local' : 'Cluster',
        sessionAffinity: index % 5 === 0 ? 'ClientIP' : 'None',
        ...(index % 3 === 0 ? { externalIPs: [address(`203.0.113.${index + 1}`, `2001:db8::${index + 1}`)] } : {}),
        ...(isBalancer
          ? {
              loadBalancerSourceRanges:
                index === 1
                  ? [address('0.0.0.0/0', '::/0')]
                  : [address('198.51.100.0/24', '2001:db8:51::/48'), address('192.168.88.12/32', 'fd00:88::12/128')],
              healthCheckNodePort: 32_000 + index,
            }
          : {}),
      },
      status: isBalancer ? { loadBalancer: { ingress: [{ ip: address(`203.0.113.${index + 101}`, `2001:db8::${index + 101}`) }] } } : {},
    });
    const to = directReturn ? [80, 443] : [8080, 8443];
    endpointSlices.push(
      slice(
        // The eleventh has none, the seventh and eighth none here.
        Array.from({ length: index === 10 ? 0 : endpoints }, (_, at) => {
          const here = at === 0 && index !== 6 && index !== 7;
          return endpoint(
            address(`10.244.${here ? 1 : 2}.${index * 8 + at + 2}`, `fd00:10:244:${here ? 1 : 2}::${(index * 8 + at + 2).toString(16)}`),
            here ? 'worker-1' : 'worker-2',
          );
        }),
        {
          addressType: `IPv${family}`,
          ports: [
            { name: 'main', port: to[0]!, protocol },
            { name: 'more', port: to[1]!, protocol: 'TCP' },
          ],
        },
        `s${index}-1`,
        `s${index}`,
      ),
    );
  }
  return { nodeName: 'worker-1', node: node(), services, endpointSlices };
}
