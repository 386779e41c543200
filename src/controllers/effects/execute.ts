import type { KubeClient } from '../../kube/client.ts';
import { ApiError, isNotFound } from '../../kube/errors.ts';
import type { EventRecorder } from '../../kube/events.ts';
import { type KubeObject, type Resource, resources } from '../../objects/client.ts';
import type { Action, BindAction, DeleteAction, DeleteAllAction, EventNote, Guard, PatchAction } from '../action.ts';
import type { LiveView } from './view.ts';

/** An action was not carried out because a guard did not hold: the key is tried again, and nothing is wrong. */
export class NotYet extends Error {}

/** An action failed. `cause` is the API server's or the socket's error. */
export class ActionError extends Error {
  readonly action: Action['do'];
  constructor(action: Action['do'], cause: unknown) {
    super(reasonOf(cause), { cause });
    this.name = 'ActionError';
    this.action = action;
  }
}

const reasonOf = (cause: unknown): string => {
  if (cause instanceof ApiError) return cause.status.message ?? cause.message;
  return cause instanceof AggregateError ? cause.message : String(cause);
};

export interface ExecuteParts {
  readonly client: KubeClient;
  readonly view: LiveView;
  readonly events: EventRecorder;
  /** False once leadership is lost or the daemon stops: nothing more is written. */
  active(): boolean;
}

/** How many writes of one `together` or `deleteAll` are under way at most. */
const mostAtOnce = 64;

export const createExecutor = (parts: ExecuteParts) => ({
  /** Carries out the actions in order. @throws ActionError for the first that fails, NotYet for the first whose guard does not hold. */
  async run(actions: readonly Action[]): Promise<void> {
    for (const action of actions) await execute(action, parts);
  },
});

async function execute(action: Action, parts: ExecuteParts): Promise<void> {
  if (!parts.active()) throw new NotYet('no longer leading');
  if (action.do === 'event') return parts.events.record(action.event);
  if (action.do === 'together') return together(action.actions, parts);
  for (const guard of action.guards ?? []) if (!(await holds(guard, parts.client))) throw new NotYet(`${guard.is} does not hold`);
  try {
    const name = await write(action, parts);
    if (action.success) parts.events.record(fillIn(action.success, { name }));
  } catch (error) {
    if (isNamespaceEnding(error)) return;
    if (error instanceof ApiError && action.failure && worthTelling(error))
      parts.events.record(fillIn(action.failure, { error: error.status.message ?? error.message }));
    throw new ActionError(action.do, error);
  }
}

/** Carries out one write, tells the view, and returns the name of what was written. */
async function write(action: Exclude<Action, { do: 'event' | 'together' }>, { client, view }: ExecuteParts): Promise<string> {
  switch (action.do) {
    case 'create': {
      const made = await client.create(action.resource, action.object);
      view.store(action.resource).written(made);
      return made.metadata.name;
    }
    case 'update': {
      const made = await client.update(action.resource, action.object, action.subresource);
      if (!isEnded(made)) view.store(action.resource).written(made);
      return made.metadata.name;
    }
    case 'patch':
      return patch(action, client, view);
    case 'delete':
      return remove(action, client, view);
    case 'deleteAll':
      return removeAll(action, client);
    case 'bind':
      return bind(action, client, view);
  }
}

async function patch({ resource, object, patch: body, subresource }: PatchAction, client: KubeClient, view: LiveView): Promise<string> {
  const { name, namespace } = object.metadata;
  const made = await client.patch(resource, name, namespace, 'merge', body, subresource);
  if (!isEnded(made)) view.store(resource).written(made);
  return name;
}

/** The answer to a write that took an object's last finalizer: it is gone, and putting it into the view would bring it back. */
const isEnded = (object: KubeObject): boolean =>
  object.metadata.deletionTimestamp !== undefined && !object.metadata.finalizers?.length && !object.metadata.deletionGracePeriodSeconds;

async function remove(
  { resource, object, propagationPolicy, gracePeriodSeconds }: DeleteAction,
  client: KubeClient,
  view: LiveView,
): Promise<string> {
  const { name, namespace, uid } = object.metadata;
  try {
    await client.delete(resource, name, namespace, {
      ...(uid === undefined ? {} : { preconditions: { uid } }),
      ...(propagationPolicy === undefined ? {} : { propagationPolicy }),
      ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
    });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  view.store(resource).deleting(object);
  return name;
}

async function removeAll({ resources: all, namespace }: DeleteAllAction, client: KubeClient): Promise<string> {
  const problems: unknown[] = [];
  for (const resource of all) await removeEach(resource, namespace, client).catch((error: unknown) => problems.push(error));
  if (problems.length === 0) return namespace;
  const reasons = problems.map((problem) => (problem instanceof ApiError ? (problem.status.message ?? problem.message) : String(problem)));
  const message = `Failed to delete all resource types, ${problems.length} remaining: ${reasons.sort().join(', ')}`;
  throw new AggregateError(problems, message);
}

async function removeEach(resource: Resource, namespace: string, client: KubeClient): Promise<void> {
  const items = await listOrNone(resource, namespace, client);
  const left = items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  for (let start = 0; start < left.length; start += mostAtOnce) {
    const outcomes = await Promise.allSettled(
      left
        .slice(start, start + mostAtOnce)
        .map(({ metadata: { name } }) => client.delete(resource, name, namespace, { propagationPolicy: 'Background' })),
    );
    for (const outcome of outcomes) if (outcome.status === 'rejected' && !isNotFound(outcome.reason)) throw outcome.reason;
  }
}

/** A resource that the API server does not serve has no objects. */
async function listOrNone(resource: Resource, namespace: string, client: KubeClient): Promise<readonly KubeObject[]> {
  try {
    return (await client.list(resource, { namespace })).items;
  } catch (error) {
    if (isNotFound(error)) return [];
    throw error;
  }
}

/** The pod counts as on its node from the moment of the decision, so that the next decision takes it into account. */
async function bind({ pod, node }: BindAction, client: KubeClient, view: LiveView): Promise<string> {
  const { name, namespace = 'default', uid } = pod.metadata;
  const takeBack = view.store(resources.pods).bound(pod, node.metadata.name);
  const binding = {
    apiVersion: 'v1',
    kind: 'Binding',
    metadata: { name, namespace, ...(uid === undefined ? {} : { uid }) },
    target: { apiVersion: 'v1', kind: 'Node', name: node.metadata.name },
  };
  try {
    await client.createSubresource(resources.pods, name, namespace, 'binding', binding);
  } catch (error) {
    takeBack();
    throw error;
  }
  return name;
}

/** As the reference's slowStartBatch: what fails for a reason that holds for all (a quota, a webhook) fails a few times, not hundreds. */
async function together(actions: readonly Action[], parts: ExecuteParts): Promise<void> {
  for (let start = 0, size = 1; start < actions.length; start += size, size = Math.min(size * 2, mostAtOnce)) {
    const batch = actions.slice(start, start + size);
    const outcomes = await Promise.allSettled(batch.map((action) => execute(action, parts)));
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }
}

async function holds(guard: Guard, client: KubeClient): Promise<boolean> {
  if (guard.is === 'empty') return (await listOrNone(guard.resource, guard.namespace, client)).length === 0;
  const name = guard.is === 'alive' ? guard.object.metadata.name : guard.name;
  const namespace = guard.is === 'alive' ? guard.object.metadata.namespace : guard.namespace;
  const found = await client.get(guard.resource, name, namespace).catch((error: unknown) => {
    if (isNotFound(error)) return undefined;
    throw error;
  });
  if (guard.is === 'alive')
    return found !== undefined && found.metadata.uid === guard.object.metadata.uid && found.metadata.deletionTimestamp === undefined;
  return found === undefined || (guard.uid !== undefined && found.metadata.uid !== guard.uid);
}

/** The namespace is on its way out: what was to be made in it is not wanted any more. */
const isNamespaceEnding = (error: unknown): boolean =>
  error instanceof ApiError &&
  error.code === 403 &&
  (error.status.details?.causes ?? []).some(({ reason }) => reason === 'NamespaceTerminating');

/** A conflict or a name taken is the cache being late, which mends itself. */
const worthTelling = ({ reason }: ApiError): boolean => reason !== 'Conflict' && reason !== 'AlreadyExists' && reason !== 'NotFound';

const fillIn = (note: EventNote, values: Readonly<Record<string, string>>): EventNote => ({
  ...note,
  message: note.message.replace(/\{(name|error)\}/g, (whole, key: string) => values[key] ?? whole),
});
