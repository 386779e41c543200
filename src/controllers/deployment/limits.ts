import type { Deployment, IntOrString, ReplicaSet } from '../../objects/client.ts';

export const replicasOf = ({ spec }: Deployment | ReplicaSet): number => spec.replicas ?? 1;

export const sum = <T>(items: readonly T[], value: (item: T) => number | undefined): number =>
  items.reduce((total, item) => total + (value(item) ?? 0), 0);

export const isRolling = ({ spec }: Deployment): boolean => spec.strategy?.type !== 'Recreate';

/** maxSurge and maxUnavailable as numbers of pods: surge rounds up, unavailable down, and both are never 0. */
export function rollingLimits(deployment: Deployment): { readonly maxSurge: number; readonly maxUnavailable: number } {
  if (!isRolling(deployment)) return { maxSurge: 0, maxUnavailable: 0 };
  const replicas = replicasOf(deployment);
  const { maxSurge: surge = '25%', maxUnavailable: unavailable = '25%' } = deployment.spec.strategy?.rollingUpdate ?? {};
  const maxSurge = resolve(surge, replicas, Math.ceil);
  const maxUnavailable = resolve(unavailable, replicas, Math.floor);
  return { maxSurge, maxUnavailable: Math.min(maxSurge === 0 && maxUnavailable === 0 ? 1 : maxUnavailable, replicas) };
}

function resolve(value: IntOrString, total: number, round: (value: number) => number): number {
  if (typeof value === 'number') return Math.max(0, value);
  const match = /^(\d{1,6})%$/.exec(value);
  return match ? round((Number(match[1]) * total) / 100) : 0;
}
