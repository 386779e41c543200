import {
  type Condition,
  findCondition,
  fromTime,
  type KubeObject,
  type LabelSelector,
  matchesLabelSelector,
  objectKey,
  type OwnerReference,
  type Pod,
  toTime,
} from '../objects/client.ts';

type Labels = Record<string, string>;

export const isDeleting = (object: KubeObject): boolean => object.metadata.deletionTimestamp !== undefined;

/** The owner that manages the object, if any. */
export const controllerOf = (object: KubeObject): OwnerReference | undefined =>
  object.metadata.ownerReferences?.find((owner) => owner.controller === true);

/** A reference that makes `owner` the managing controller of what carries it. */
export const controllerReference = ({ apiVersion, kind, metadata }: KubeObject): OwnerReference => ({
  apiVersion,
  kind,
  name: metadata.name,
  uid: metadata.uid ?? '',
  controller: true,
  blockOwnerDeletion: true,
});

/** The conditions with this one in it. lastTransitionTime moves only when the status changes. */
export function withCondition(conditions: readonly Condition[] | undefined, condition: Condition, now: number): Condition[] {
  const before = findCondition(conditions, condition.type);
  const unchanged = before?.status === condition.status && before.lastTransitionTime !== undefined;
  const next: Condition = { ...condition, lastTransitionTime: unchanged ? before.lastTransitionTime! : toTime(now) };
  return before ? conditions!.map((item) => (item === before ? next : item)) : [...(conditions ?? []), next];
}

/** Older first; names decide between equals, so that the order never depends on the cache's. */
export function byAge(a: KubeObject, b: KubeObject): number {
  const difference = fromTime(a.metadata.creationTimestamp) - fromTime(b.metadata.creationTimestamp);
  return difference || (a.metadata.name < b.metadata.name ? -1 : a.metadata.name > b.metadata.name ? 1 : 0);
}

/** Ran to its end, well or not: it will not start again. */
export const isPodFinished = (pod: Pod): boolean => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';

/** Counts towards its owner's replicas. */
export const isPodActive = (pod: Pod): boolean => !isPodFinished(pod) && !isDeleting(pod);

/** When the pod became or becomes available (ms since the epoch): ready for `minReadySeconds`. Undefined while it is not ready. */
export function availableAt(pod: Pod, minReadySeconds: number): number | undefined {
  const ready = findCondition(pod.status?.conditions, 'Ready');
  if (ready?.status !== 'True') return undefined;
  return minReadySeconds === 0 ? 0 : fromTime(ready.lastTransitionTime) + minReadySeconds * 1_000;
}

/** The keys of the objects that an object's controller reference points to, before and after a change. */
export function controllerKeys(kind: string, ...objects: readonly (KubeObject | undefined)[]): Set<string> {
  const keys = new Set<string>();
  for (const object of objects) {
    const owner = object && controllerOf(object);
    if (owner?.kind === kind) keys.add(`${object!.metadata.namespace}/${owner.name}`);
  }
  return keys;
}

/** The keys of those of the owners that would adopt the object, if no controller manages it. */
export function* adopters(
  object: KubeObject | undefined,
  owners: readonly (KubeObject & { readonly spec: { readonly selector: LabelSelector } })[],
): Iterable<string> {
  if (!object || controllerOf(object)) return;
  for (const owner of owners) if (matchesLabelSelector(owner.spec.selector, object.metadata.labels)) yield objectKey(owner);
}

export const without = (labels: Labels | undefined, ...keys: readonly string[]): Labels =>
  Object.fromEntries(Object.entries(labels ?? {}).filter(([key]) => !keys.includes(key)));
