import { type ControllerRevision, type KubeObject, type PodTemplate, resources } from '../../objects/client.ts';
import type { Action } from '../action.ts';
import { sameMeaning } from '../equal.ts';
import { byAge, controllerReference } from '../metadata.ts';

/** The label of a revision that tells its hash, and of a pod that tells which revision it was made from. */
export const revisionHashLabel = 'controller-revision-hash';

/**
 * The strategic merge patch that brings a template back; what `kubectl rollout undo` sends. The empty creation time is Go's way of writing
 * metadata: with it the names that are made of the patch are those of the reference.
 */
export const templatePatch = (template: PodTemplate): Record<string, unknown> => ({
  spec: { template: { ...template, metadata: { creationTimestamp: null, ...template.metadata }, $patch: 'replace' } },
});

/** The template that a revision stands for; undefined when its data is no such patch. */
export function templateOf({ data }: ControllerRevision): PodTemplate | undefined {
  const template = (data as { spec?: { template?: Record<string, unknown> } } | undefined)?.spec?.template;
  if (typeof template !== 'object' || template === null) return undefined;
  const { $patch: _directive, ...rest } = template;
  return rest as unknown as PodTemplate;
}

export const standsFor = (revision: ControllerRevision, template: PodTemplate): boolean =>
  sameMeaning(revision.data, templatePatch(template));

/** Lowest revision first; age and name decide between equals. */
export const byRevision = (a: ControllerRevision, b: ControllerRevision): number => a.revision - b.revision || byAge(a, b);

export const newestRevision = (revisions: readonly ControllerRevision[]): number =>
  revisions.reduce((most, { revision }) => Math.max(most, revision), 0);

/** A revision of the owner's present template. The name is the owner's with the hash. */
export function newRevision(
  owner: KubeObject & { readonly spec: { readonly template: PodTemplate } },
  hash: string,
  revision: number,
): ControllerRevision {
  const { name, namespace = 'default', annotations } = owner.metadata;
  const { template } = owner.spec;
  return {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: {
      name: `${name.slice(0, 223)}-${hash}`,
      namespace,
      labels: { ...template.metadata?.labels, [revisionHashLabel]: hash },
      ...(annotations ? { annotations } : {}),
      ownerReferences: [controllerReference(owner)],
    },
    data: templatePatch(template),
    revision,
  };
}

/** Gives a revision another place in the history: it is the present one again. */
export const renumber = (object: ControllerRevision, revision: number): Action => {
  const { uid, resourceVersion } = object.metadata;
  return { do: 'patch', resource: resources.controllerRevisions, object, patch: { metadata: { uid, resourceVersion }, revision } };
};

/** Deletes the oldest of the revisions beyond `limit`, except those that `inUse` says pods were made from. */
export function truncateHistory(
  old: readonly ControllerRevision[],
  limit: number,
  inUse: (revision: ControllerRevision) => boolean,
): Action[] {
  return [...old]
    .sort(byRevision)
    .filter((revision) => !inUse(revision))
    .slice(0, Math.max(0, old.length - limit))
    .map((object) => ({ do: 'delete', resource: resources.controllerRevisions, object }));
}
