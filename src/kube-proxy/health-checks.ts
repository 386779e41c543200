import type { PortAnswer } from '../runtime/port-servers.ts';
import type { ProxyModel } from './model.ts';

/**
 * What a load balancer hears at the healthCheckNodePort of each service with external policy Local: 200 where this node has endpoints that are
 * ready, 503 where it has none, so that new connections go to other nodes while those that terminate finish theirs (KEP-1669). Body and headers are
 * kube-proxy's. By port; both families of a service share it.
 */
export function healthCheckAnswers(models: readonly ProxyModel[], isProxyHealthy: boolean): Map<number, PortAnswer> {
  const counts = new Map<number, { namespace: string; name: string; endpoints: Set<string> }>();
  for (const { family, services } of models) {
    for (const { healthCheckNodePort, service, endpoints } of services) {
      if (healthCheckNodePort === undefined) continue;
      const [namespace = '', name = ''] = service.split('/');
      const entry = counts.get(healthCheckNodePort) ?? { namespace, name, endpoints: new Set<string>() };
      counts.set(healthCheckNodePort, entry);
      // An endpoint of a service with several ports counts once, and in dual stack once for each family.
      for (const { local, ready, address } of endpoints) if (local && ready) entry.endpoints.add(`${family} ${address}`);
    }
  }
  return new Map(
    [...counts].map(([port, { namespace, name, endpoints }]): [number, PortAnswer] => {
      const localEndpoints = perFamily(endpoints);
      return [
        port,
        {
          code: localEndpoints > 0 && isProxyHealthy ? 200 : 503,
          headers: {
            'content-type': 'application/json',
            'x-content-type-options': 'nosniff',
            'x-load-balancing-endpoint-weight': String(localEndpoints),
          },
          body: `${JSON.stringify({ service: { namespace, name }, localEndpoints, serviceProxyHealthy: isProxyHealthy }, undefined, '\t')}\n`,
        },
      ];
    }),
  );
}

/** The number of pods: in dual stack each has an address of either family. */
function perFamily(endpoints: ReadonlySet<string>): number {
  const counts = [4, 6].map((family) => [...endpoints].filter((each) => each.startsWith(`${family} `)).length);
  return Math.max(...counts);
}
