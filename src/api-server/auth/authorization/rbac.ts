import { type AnyObject, type KindDeclaration, kinds, resources } from '../../../objects/index.ts';
import { storePrefix } from '../../cached-object.ts';
import type { WatchCache } from '../../watch-cache.ts';
import type { Authorizer } from './authorizer.ts';
import { type BindingEntry, RbacIndex, type RoleEntry } from './rbac-index.ts';

export interface Rbac extends Authorizer {
  readonly index: RbacIndex;
  stop(): void;
}

const kindOf = (plural: string): KindDeclaration =>
  kinds.find(({ resource }) => resource.plural === plural && resource.group === resources.roles.group)!;

/** RBAC by the roles and bindings in the watch cache; a change counts once its write is acknowledged. */
export function startRbac(cache: WatchCache): Rbac {
  const index = new RbacIndex();
  const stops = [
    ...['roles', 'clusterroles'].map((plural) =>
      follow(
        cache,
        kindOf(plural),
        (object) => index.putRole(toRole(object)),
        (namespace, name) => index.deleteRole(namespace, name),
      ),
    ),
    ...['rolebindings', 'clusterrolebindings'].map((plural) =>
      follow(
        cache,
        kindOf(plural),
        (object) => index.putBinding(toBinding(object)),
        (namespace, name) => index.deleteBinding(namespace, name),
      ),
    ),
  ];
  return {
    name: 'RBAC',
    index,
    authorize: (user, attributes) => index.authorize(user, attributes),
    stop() {
      for (const stop of stops) stop();
    },
  };
}

function follow(
  cache: WatchCache,
  kind: KindDeclaration,
  put: (object: AnyObject) => void,
  remove: (namespace: string, name: string) => void,
): () => void {
  const objects = cache.of(kind);
  for (const object of objects.list(storePrefix(kind.resource))) put(object.parse());
  return objects.subscribe(({ type, object }) => {
    if (type === 'DELETED') remove(object.namespace ?? '', object.name);
    else put(object.parse());
  });
}

const toRole = ({ metadata, rules }: AnyObject): RoleEntry => ({
  namespace: metadata.namespace ?? '',
  name: metadata.name,
  rules: rules ?? [],
});

const toBinding = ({ metadata, roleRef, subjects }: AnyObject): BindingEntry => ({
  namespace: metadata.namespace ?? '',
  name: metadata.name,
  roleRef,
  subjects: subjects ?? [],
});
