import { type AnyObject, type KindDeclaration, kinds, resources } from '../../../objects/index.ts';
import type { Logger } from '../../../runtime/log.ts';
import { apiServerUser } from '../../access.ts';
import { storeKey, storePrefix } from '../../cached-object.ts';
import { createObject } from '../../registry/create.ts';
import { deleteObject } from '../../registry/delete.ts';
import type { Registry, WriteContext } from '../../registry/registry.ts';
import { updateObject } from '../../registry/update.ts';
import { StatusError } from '../../status-errors.ts';
import { staleAggregates } from './aggregate.ts';
import { defaultPolicy } from './policy.ts';
import { reconciledBinding, reconciledRole } from './reconcile.ts';

const context: WriteContext = { user: apiServerUser, dryRun: false };
const kindOf = (plural: string): KindDeclaration =>
  kinds.find(({ resource }) => resource.plural === plural && resource.group === resources.roles.group)!;

type Reconcile = (existing: AnyObject, wanted: AnyObject) => AnyObject | 'recreate' | undefined;

/** Makes the default roles and bindings, or adds to those that stand what they lack; then gathers the rules of aggregated roles. */
export async function ensureDefaultPolicy(registry: Registry): Promise<void> {
  const policy = defaultPolicy();
  const ensureAll = (plural: string, objects: readonly AnyObject[], reconcile: Reconcile) =>
    objects.map((object) => ensureOne(registry, kindOf(plural), object, reconcile));
  await Promise.all([
    ...ensureAll('clusterroles', policy.clusterRoles, reconciledRole),
    ...ensureAll('clusterrolebindings', policy.clusterRoleBindings, reconciledBinding),
    ...ensureAll('roles', policy.roles, reconciledRole),
    ...ensureAll('rolebindings', policy.roleBindings, reconciledBinding),
  ]);
  await aggregateClusterRoles(registry);
}

/** Makes an object unless it stands; a role or binding that stands gets what it lacks. */
export function ensureObject(registry: Registry, kind: KindDeclaration, wanted: AnyObject): Promise<void> {
  const { plural, group } = kind.resource;
  const isRbac = group === resources.roles.group;
  return ensureOne(registry, kind, wanted, isRbac ? (plural.endsWith('bindings') ? reconciledBinding : reconciledRole) : () => undefined);
}

async function ensureOne(registry: Registry, kind: KindDeclaration, wanted: AnyObject, reconcile: Reconcile): Promise<void> {
  const { name, namespace = '' } = wanted.metadata;
  const key = storeKey(kind.resource, namespace, name);
  const create = () => createObject(registry, kind, namespace, structuredClone(wanted), context);
  const standing = registry.cache.of(kind).get(key);
  if (!standing) return tolerate('AlreadyExists', create);
  if (reconcile(standing.parse(), wanted) === 'recreate') {
    await deleteObject(registry, kind, namespace, name, {}, context);
    return tolerate('AlreadyExists', create);
  }
  const change = (current: AnyObject): AnyObject => {
    const next = reconcile(current, structuredClone(wanted));
    return next === undefined || next === 'recreate' ? current : next;
  };
  const update = { kind, namespace, name, subresource: '', change, prepare: kind.prepareForUpdate };
  await tolerate('NotFound', () => updateObject(registry, update, context));
}

/** Another API server that starts at the same moment may come first. */
async function tolerate(reason: string, write: () => Promise<unknown>): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (!(error instanceof StatusError && error.status.reason === reason)) throw error;
  }
}

/** A chain of roles that take over each other's rules is as long as this at most; longer ones are finished at the next change. */
const longestChain = 8;

async function aggregateClusterRoles(registry: Registry): Promise<void> {
  const kind = kindOf('clusterroles');
  for (let round = 0; round < longestChain; round++) {
    const all = registry.cache
      .of(kind)
      .list(storePrefix(kind.resource))
      .map((role) => role.parse());
    const stale = staleAggregates(all);
    if (stale.length === 0) return;
    for (const { name, rules } of stale) {
      const change = (current: AnyObject): AnyObject => ({ ...current, rules });
      const update = { kind, namespace: '', name, subresource: '', change, prepare: kind.prepareForUpdate };
      await tolerate('NotFound', () => updateObject(registry, update, context));
    }
  }
}

/** Keeps the rules of aggregated ClusterRoles what they gather, from now on until stopped. */
export function startClusterRoleAggregation(registry: Registry, log: Logger): { stop(): Promise<void> } {
  let running: Promise<void> | undefined;
  let again = false;
  let stopped = false;
  const turn = async (): Promise<void> => {
    do {
      again = false;
      await aggregateClusterRoles(registry).catch((error: unknown) => log.error({ err: error }, 'aggregating cluster roles failed'));
    } while (again && !stopped);
    running = undefined;
  };
  const unsubscribe = registry.cache.of(kindOf('clusterroles')).subscribe(() => {
    again = true;
    running ??= Promise.resolve().then(turn);
  });
  return {
    async stop() {
      stopped = true;
      unsubscribe();
      await running;
    },
  };
}
