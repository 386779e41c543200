import { type ControllerRevision, type DaemonSet, objectKey, type Pod, resources } from '../../objects/client.ts';
import type { Action } from '../action.ts';
import { podTemplateHash } from '../deployment/hash.ts';
import { newestRevision, newRevision, renumber, revisionHashLabel, standsFor, truncateHistory } from '../revisions/history.ts';
import type { ClusterView } from '../view.ts';

export interface History {
  /** What is to be put right before anything else. */
  readonly actions: readonly Action[];
  /** The hash of the present template's revision; undefined until that exists. */
  readonly hash: string | undefined;
  readonly old: readonly ControllerRevision[];
  /** The name of a new revision is taken by another: the next hash must differ. */
  readonly collided?: true;
}

/** The revision of the present template and those before it, of the daemon set's own revisions. */
export function readHistory(daemonSet: DaemonSet, owned: readonly ControllerRevision[], pods: readonly Pod[], view: ClusterView): History {
  const current = owned.filter((revision) => standsFor(revision, daemonSet.spec.template));
  const old = owned.filter((revision) => !current.includes(revision));
  const next = newestRevision(old) + 1;
  const [kept, ...duplicates] = current.sort((a, b) => b.revision - a.revision || (a.metadata.name < b.metadata.name ? -1 : 1));
  if (!kept) return createRevision(daemonSet, old, next, view);
  const hash = hashOf(kept);
  return {
    hash,
    old,
    actions: [
      ...duplicates.flatMap((duplicate) => replaceDuplicate(duplicate, hash, pods)),
      ...(kept.revision < next ? [renumber(kept, next)] : []),
    ],
  };
}

const hashOf = ({ metadata }: ControllerRevision): string => metadata.labels?.[revisionHashLabel] ?? metadata.name;

function createRevision(daemonSet: DaemonSet, old: readonly ControllerRevision[], next: number, view: ClusterView): History {
  const hash = podTemplateHash(daemonSet.spec.template, daemonSet.status?.collisionCount);
  const made = newRevision({ ...daemonSet, apiVersion: 'apps/v1', kind: 'DaemonSet' }, hash, next);
  if (view.get(resources.controllerRevisions, objectKey(made))) return { actions: [], hash: undefined, old, collided: true };
  return { actions: [{ do: 'create', resource: resources.controllerRevisions, object: made }], hash: undefined, old };
}

/** Two revisions of one template: pods of the one go over to the other. */
const replaceDuplicate = (duplicate: ControllerRevision, hash: string, pods: readonly Pod[]): Action[] => [
  ...pods
    .filter(({ metadata }) => metadata.labels?.[revisionHashLabel] === hashOf(duplicate))
    .map(
      (object): Action => ({
        do: 'patch',
        resource: resources.pods,
        object,
        patch: { metadata: { uid: object.metadata.uid, labels: { [revisionHashLabel]: hash } } },
      }),
    ),
  { do: 'delete', resource: resources.controllerRevisions, object: duplicate },
];

export function cleanUp(daemonSet: DaemonSet, old: readonly ControllerRevision[], pods: readonly Pod[]): Action[] {
  const live = new Set(pods.map(({ metadata }) => metadata.labels?.[revisionHashLabel]));
  return truncateHistory(old, daemonSet.spec.revisionHistoryLimit ?? 10, (revision) => live.has(hashOf(revision)));
}
