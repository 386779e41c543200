import type { Pod } from '../../objects/client.ts';

/** A port of the node that a pod takes for itself. */
export interface HostPort {
  readonly ip: string;
  readonly port: number;
  readonly protocol: string;
}

/** In the node's network every container port is one of the node's. Sidecars keep theirs, init containers that end do not. */
export const hostPorts = ({ spec }: Pod): HostPort[] => {
  const sidecars = (spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  return [...spec.containers, ...sidecars].flatMap(({ ports = [] }) =>
    ports.flatMap(({ hostPort, containerPort, hostIP, protocol = 'TCP' }) => {
      const port = hostPort ?? (spec.hostNetwork ? containerPort : 0);
      return port ? [{ ip: hostIP || '0.0.0.0', port, protocol }] : [];
    }),
  );
};

const isWildcard = (ip: string): boolean => ip === '0.0.0.0' || ip === '::';

/** Whether the pod wants a port that is taken: the same port and protocol, on the same address or with one side on all. */
export function portsClash(pod: Pod, used: readonly HostPort[]): boolean {
  return hostPorts(pod).some((a) =>
    used.some((b) => a.port === b.port && a.protocol === b.protocol && (a.ip === b.ip || isWildcard(a.ip) || isWildcard(b.ip))),
  );
}
