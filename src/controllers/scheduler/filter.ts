import { findCondition, matchesLabels, type Node, type Pod, type Taint } from '../../objects/client.ts';
import { isTolerated, nodeTaints } from '../taints.ts';
import { addAmounts, allocatableOf, noAmounts, requestsOf } from './requests.ts';

/** Why the node cannot take the pod, in the scheduler's words; empty when it can. `running` are the pods it has already. */
export function misfits(pod: Pod, node: Node, running: readonly Pod[]): string[] {
  if (node.metadata.deletionTimestamp) return ['node(s) were being deleted'];
  const taint = untolerated(pod, node);
  if (taint)
    return [
      taint.key === nodeTaints.unschedulable
        ? 'node(s) were unschedulable'
        : `node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`,
    ];
  if (!matchesLabels(pod.spec.nodeSelector, node.metadata.labels)) return ["node(s) didn't match Pod's node affinity/selector"];
  if (portsClash(pod, running)) return ["node(s) didn't have free ports for the requested pod ports"];
  return shortages(pod, node, running);
}

/** The first taint that keeps the pod away, also those that the node's state calls for before a controller has written them. */
function untolerated(pod: Pod, node: Node): Taint | undefined {
  const ready = findCondition(node.status?.conditions, 'Ready')?.status;
  const implied: Taint[] = [
    ...(node.spec?.unschedulable ? [{ key: nodeTaints.unschedulable, effect: 'NoSchedule' } as const] : []),
    ...(ready === 'True'
      ? []
      : [{ key: ready === 'Unknown' ? nodeTaints.unreachable : nodeTaints.notReady, effect: 'NoSchedule' } as const]),
  ];
  return [...(node.spec?.taints ?? []), ...implied].find((taint) => taint.effect !== 'PreferNoSchedule' && !isTolerated(pod, taint));
}

interface HostPort {
  readonly ip: string;
  readonly port: number;
  readonly protocol: string;
}

const hostPorts = ({ spec }: Pod): HostPort[] =>
  spec.containers.flatMap(({ ports = [] }) =>
    ports.flatMap(({ hostPort, containerPort, hostIP, protocol = 'TCP' }) => {
      const port = hostPort ?? (spec.hostNetwork ? containerPort : 0);
      return port ? [{ ip: hostIP || '0.0.0.0', port, protocol }] : [];
    }),
  );

const isWildcard = (ip: string): boolean => ip === '0.0.0.0' || ip === '::';

function portsClash(pod: Pod, running: readonly Pod[]): boolean {
  const wanted = hostPorts(pod);
  if (wanted.length === 0) return false;
  const used = running.flatMap(hostPorts);
  return wanted.some((a) =>
    used.some((b) => a.port === b.port && a.protocol === b.protocol && (a.ip === b.ip || isWildcard(a.ip) || isWildcard(b.ip))),
  );
}

function shortages(pod: Pod, node: Node, running: readonly Pod[]): string[] {
  const used = running.map(requestsOf).reduce(addAmounts, noAmounts);
  const wanted = requestsOf(pod);
  const free = allocatableOf(node);
  return [
    ...(used.pods + 1 > free.pods ? ['Too many pods'] : []),
    ...(wanted.cpu > 0 && used.cpu + wanted.cpu > free.cpu ? ['Insufficient cpu'] : []),
    ...(wanted.memory > 0 && used.memory + wanted.memory > free.memory ? ['Insufficient memory'] : []),
  ];
}

/** `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable.` */
export function describeMisfits(reasons: readonly (readonly string[])[]): string {
  const counts = new Map<string, number>();
  for (const reason of reasons.flat()) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  if (reasons.length === 0) return 'no nodes available to schedule pods';
  const parts = [...counts].map(([reason, count]) => `${count} ${reason}`).sort();
  return `0/${reasons.length} nodes are available: ${parts.join(', ')}.`;
}
