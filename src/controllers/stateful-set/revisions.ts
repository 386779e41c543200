import { type ControllerRevision, objectKey, type Pod, resources, type StatefulSet } from '../../objects/client.ts';
import type { Action } from '../action.ts';
import { byRevision, newestRevision, newRevision, renumber, standsFor, templatePatch, truncateHistory } from '../revisions/history.ts';
import { revisionHash } from '../revisions/hash.ts';
import type { ClusterView } from '../view.ts';
import { revisionOfPod } from './identity.ts';

export type Revisions =
  /** `current` is what pods are updated from, `update` the present template. */
  | { readonly ready: true; readonly current: ControllerRevision; readonly update: ControllerRevision }
  /** The present template has no revision at its place in the history yet. */
  | { readonly ready: false; readonly actions: readonly Action[]; readonly collided?: true };

export function readRevisions(set: StatefulSet, owned: readonly ControllerRevision[], view: ClusterView): Revisions {
  const sorted = [...owned].sort(byRevision);
  const update = sorted.findLast((revision) => standsFor(revision, set.spec.template));
  const next = newestRevision(sorted) + 1;
  if (update) {
    if (update !== sorted.at(-1)) return { ready: false, actions: [renumber(update, next)] };
    return { ready: true, update, current: sorted.find(({ metadata }) => metadata.name === set.status?.currentRevision) ?? update };
  }
  const hash = revisionHash(templatePatch(set.spec.template), set.status?.collisionCount);
  const made = newRevision({ ...set, apiVersion: 'apps/v1', kind: 'StatefulSet' }, hash, next);
  if (view.get(resources.controllerRevisions, objectKey(made))) return { ready: false, actions: [], collided: true };
  return { ready: false, actions: [{ do: 'create', resource: resources.controllerRevisions, object: made }] };
}

/** Deletes old revisions beyond the limit; those of pods that are there stay. */
export function cleanUp(
  set: StatefulSet,
  owned: readonly ControllerRevision[],
  live: readonly ControllerRevision[],
  pods: readonly Pod[],
): Action[] {
  const names = new Set([...live.map(({ metadata }) => metadata.name), ...pods.map(revisionOfPod)]);
  const old = owned.filter(({ metadata }) => !names.has(metadata.name));
  return truncateHistory(old, set.spec.revisionHistoryLimit ?? 10, () => false);
}
