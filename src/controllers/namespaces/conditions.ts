import { type Condition, findCondition, toTime } from '../../objects/client.ts';
import { isDeleting } from '../metadata.ts';
import type { ClusterView } from '../view.ts';
import { watchedNamespaced } from '../watched.ts';

/** What stands in the way of a namespace's end. */
export interface Remains {
  /** How many objects are on their way out but still there, by `plural.group`. */
  readonly objects: ReadonlyMap<string, number>;
  /** How many of them each finalizer holds. */
  readonly finalizers: ReadonlyMap<string, number>;
}

export function remainsIn(namespace: string, view: ClusterView): Remains {
  const objects = new Map<string, number>();
  const finalizers = new Map<string, number>();
  const count = (map: Map<string, number>, key: string): void => void map.set(key, (map.get(key) ?? 0) + 1);
  for (const { group, plural, ...resource } of watchedNamespaced) {
    for (const object of view.list({ group, plural, ...resource }, namespace).filter(isDeleting)) {
      count(objects, `${plural}.${group}`);
      for (const finalizer of object.metadata.finalizers ?? []) count(finalizers, finalizer);
    }
  }
  return { objects, finalizers };
}

const listed = (counts: ReadonlyMap<string, number>, verb: string): string =>
  [...counts]
    .map(([name, count]) => `${name} ${verb} ${count} resource instances`)
    .sort()
    .join(', ');

/**
 * The five conditions of a namespace that is being deleted, with the reasons and messages that the reference's namespace controller gives them.
 * `problem` tells why some content could not be deleted.
 */
export function namespaceConditions(
  before: readonly Condition[],
  { objects, finalizers }: Remains,
  problem: string | undefined,
  now: number,
): Condition[] {
  const wanted = [
    ok('NamespaceDeletionDiscoveryFailure', 'ResourcesDiscovered', 'All resources successfully discovered'),
    ok('NamespaceDeletionGroupVersionParsingFailure', 'ParsedGroupVersions', 'All legacy kube types successfully parsed'),
    problem === undefined
      ? ok('NamespaceDeletionContentFailure', 'ContentDeleted', 'All content successfully deleted, may be waiting on finalization')
      : bad('NamespaceDeletionContentFailure', 'ContentDeletionFailed', problem),
    objects.size === 0
      ? ok('NamespaceContentRemaining', 'ContentRemoved', 'All content successfully removed')
      : bad('NamespaceContentRemaining', 'SomeResourcesRemain', `Some resources are remaining: ${listed(objects, 'has')}`),
    finalizers.size === 0
      ? ok('NamespaceFinalizersRemaining', 'ContentHasNoFinalizers', 'All content-preserving finalizers finished')
      : bad(
          'NamespaceFinalizersRemaining',
          'SomeFinalizersRemain',
          `Some content in the namespace has finalizers remaining: ${listed(finalizers, 'in')}`,
        ),
  ];
  const others = before.filter(({ type }) => !wanted.some((condition) => condition.type === type));
  return [
    ...others,
    ...wanted.map((condition) => {
      const old = findCondition(before, condition.type);
      const lastTransitionTime = old?.status === condition.status ? (old.lastTransitionTime ?? toTime(now)) : toTime(now);
      return { ...condition, lastTransitionTime };
    }),
  ];
}

type Draft = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;
const ok = (type: string, reason: string, message: string): Draft => ({ type, status: 'False', reason, message });
const bad = (type: string, reason: string, message: string): Draft => ({ type, status: 'True', reason, message });
