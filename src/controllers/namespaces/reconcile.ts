import { type Namespace, type Resource, resources } from '../../objects/client.ts';
import type { Action } from '../action.ts';
import { type Controller, type Failure, nothing, type Outcome, watch } from '../controller.ts';
import { sameMeaning } from '../equal.ts';
import { isDeleting } from '../metadata.ts';
import type { ClusterView } from '../view.ts';
import { watchedNamespaced } from '../watched.ts';
import { type Remains, namespaceConditions, remainsIn } from './conditions.ts';

/** What goes last: what happens to the others on their way out is told in Events. */
const content: readonly Resource[] = [...watchedNamespaced, resources.events];

/** Empties namespaces that are being deleted, tells in their conditions what is left, and lets them go when nothing is. */
export const namespaceController: Controller = {
  name: 'namespace',
  component: 'namespace-controller',
  workers: 4,
  watches: [
    watch(resources.namespaces, (_before, after) => (after && isDeleting(after) ? [after.metadata.name] : [])),
    // Whatever changes in a namespace on its way out may complete its deletion, or change what is said to be left.
    ...watchedNamespaced.map((resource) =>
      watch(resource, (before, after, view) => {
        const { namespace = '' } = (after ?? before)!.metadata;
        const of = view.get(resources.namespaces, namespace);
        return of && isDeleting(of) ? [namespace] : [];
      }),
    ),
  ],
  reconcile(name, view, failure) {
    const namespace = view.get(resources.namespaces, name);
    return namespace && isDeleting(namespace) ? empty(namespace, view, failure) : nothing;
  },
};

/** Deletes all that is in it; lets it go only when the API server itself finds nothing left. */
function empty(namespace: Namespace, view: ClusterView, failure: Failure | undefined): Outcome {
  const { name } = namespace.metadata;
  if (!namespace.spec?.finalizers?.includes('kubernetes')) return nothing;
  const finalized: Namespace = {
    ...namespace,
    spec: { ...namespace.spec, finalizers: namespace.spec.finalizers.filter((finalizer) => finalizer !== 'kubernetes') },
  };
  const problem = failure?.action === 'deleteAll' ? failure.message : undefined;
  return {
    actions: [
      ...tellRemains(namespace, remainsIn(name, view), problem, view.now),
      { do: 'deleteAll', resources: content, namespace: name },
      {
        do: 'update',
        resource: resources.namespaces,
        object: finalized,
        subresource: 'finalize',
        guards: content.map((resource) => ({ is: 'empty', resource, namespace: name })),
      },
    ],
  };
}

/** Nothing is said before there is something to say: most namespaces go at once. */
function tellRemains(namespace: Namespace, remains: Remains, problem: string | undefined, now: number): Action[] {
  const before = namespace.status?.conditions ?? [];
  if (before.length === 0 && remains.objects.size === 0 && problem === undefined) return [];
  const conditions = namespaceConditions(before, remains, problem, now);
  if (sameMeaning(before, conditions)) return [];
  const { resourceVersion } = namespace.metadata;
  const patch = { metadata: { resourceVersion }, status: { conditions } };
  return [{ do: 'patch', resource: resources.namespaces, object: namespace, subresource: 'status', patch }];
}
