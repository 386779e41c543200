import { type Resource, resources } from '../objects/client.ts';

/**
 * What the controllers watch: every resource whose objects are kept. Not Events, which are many and decide nothing, and not the reviews of
 * authentication and authorization, which answer a question and leave no object.
 */
export const watched: readonly Resource[] = Object.values<Resource>(resources).filter(
  ({ kind }) => kind !== 'Event' && !kind.endsWith('Review') && kind !== 'TokenRequest',
);

/** The watched resources that live in namespaces. */
export const watchedNamespaced: readonly Resource[] = watched.filter(({ namespaced }) => namespaced);

/** Tells resources of one plural in different groups apart: `apps/deployments`, `/pods`. */
export const resourceKey = ({ group, plural }: Pick<Resource, 'group' | 'plural'>): string => `${group}/${plural}`;
