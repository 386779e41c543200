import type { Condition, Pod } from './types/index.ts';

/** The condition of a type; undefined when the object has none. */
export const findCondition = (conditions: readonly Condition[] | undefined, type: string): Condition | undefined =>
  conditions?.find((condition) => condition.type === type);

export const isPodReady = (pod: Pod): boolean => findCondition(pod.status?.conditions, 'Ready')?.status === 'True';
