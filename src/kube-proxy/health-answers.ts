import type { Node } from '../objects/client.ts';
import type { PortAnswer } from '../runtime/port-servers.ts';

/** Put on a node by the cluster autoscaler before it deletes the machine. */
const toBeDeletedTaint = 'ToBeDeletedByClusterAutoscaler';

/** Whether load balancers may send new connections to a node: neither the autoscaler nor the API is about to delete it (KEP-3836). */
export const isNodeEligible = (node: Node | undefined): boolean =>
  node?.metadata.deletionTimestamp === undefined && !(node?.spec?.taints ?? []).some(({ key }) => key === toBeDeletedTaint);

export interface ProxyHealth {
  readonly isHealthy: boolean;
  readonly isNodeEligible: boolean;
  /** Milliseconds since the epoch: the last sync; 0 before the first. */
  readonly lastUpdated: number;
  readonly now: number;
}

/**
 * Kube-proxy's answers to /healthz, which a load balancer asks and which also tells whether the node stays, and to /livez, which is about the proxy
 * alone. While all is well `lastUpdated` is the present.
 */
export function healthAnswer(path: '/healthz' | '/livez', health: ProxyHealth): PortAnswer {
  const isWell = health.isHealthy && (path === '/livez' || health.isNodeEligible);
  const times = `"lastUpdated": "${goTime(isWell ? health.now : health.lastUpdated)}","currentTime": "${goTime(health.now)}"`;
  return {
    code: isWell ? 200 : 503,
    headers: { 'content-type': 'application/json', 'x-content-type-options': 'nosniff' },
    body: path === '/livez' ? `{${times}}` : `{${times}, "nodeEligible": ${health.isNodeEligible}}`,
  };
}

/** A time as Go's Time.String shows it: `2026-11-21 20:05:00.123 +0000 UTC`. */
function goTime(milliseconds: number): string {
  if (milliseconds === 0) return '0001-01-01 00:00:00 +0000 UTC';
  const [date, time = ''] = new Date(milliseconds).toISOString().split('T');
  return `${date} ${time.replace(/\.?0*Z$/, '')} +0000 UTC`;
}

/** What the health server of the proxy answers; `answered` is told the path and the code of each answer. */
export const healthAnswers = (
  health: () => ProxyHealth,
  answered: (path: '/healthz' | '/livez', code: number) => void,
): ReadonlyMap<string, () => PortAnswer> =>
  new Map(
    (['/healthz', '/livez'] as const).map((path) => [
      path,
      () => {
        const answer = healthAnswer(path, health());
        answered(path, answer.code);
        return answer;
      },
    ]),
  );
