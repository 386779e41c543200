// An object and those who write it, one after the other, without a server: what the tests of managedFields tell their cases with.
import {
  type AnyObject,
  applyConfiguration,
  fieldTargetOf,
  findKindByName,
  type KindDeclaration,
  pruneUnknown,
  trackUpdate,
} from '../../../src/objects/index.ts';

export interface Story {
  /** The object as it stands; undefined before it was created. */
  readonly object: AnyObject | undefined;
  apply(manager: string, configuration: object, options?: { force?: boolean; subresource?: string }): Story;
  /** A create, or a PUT of what `change` makes of the object. */
  update(manager: string, change: (object: AnyObject) => object | void, subresource?: string): Story;
  /** Owners as `manager` or `manager/subresource`, appliers marked with `+`, to their fieldsV1. */
  owners(): Record<string, object>;
}

/** A story of one kind. Each write is a second after the last. */
export function storyOf(apiVersion: string, kindName: string): Story {
  const kind = findKindByName(apiVersion, kindName)!;
  return continued(kind, undefined, 0);
}

function continued(kind: KindDeclaration, standing: AnyObject | undefined, second: number): Story {
  const writer = (manager: string) => ({
    manager,
    now: new Date(Date.UTC(2026, 0, 1) + second * 1_000).toISOString().replace('.000Z', 'Z'),
  });
  const normal = (object: AnyObject): AnyObject => {
    const copy = structuredClone(object);
    const { managedFields } = copy.metadata;
    pruneUnknown(kind.schema, copy);
    // As the server, which tells an empty list from none.
    if (managedFields?.length === 0) copy.metadata.managedFields = managedFields;
    kind.applyDefaults(copy);
    return copy;
  };
  const { group, version, kind: name } = kind.resource;
  const typed = { apiVersion: group ? `${group}/${version}` : version, kind: name };
  return {
    object: standing,
    apply(manager, configuration, { force = false, subresource = '' } = {}) {
      const target = fieldTargetOf(kind, subresource);
      const applied = applyConfiguration(target, standing, { ...typed, ...configuration }, writer(manager), force);
      return continued(kind, normal(applied), second + 1);
    },
    update(manager, change, subresource = '') {
      const start = structuredClone(standing ?? { ...typed, metadata: { name: 'x' } });
      const object = normal((change(start) ?? start) as AnyObject);
      trackUpdate(fieldTargetOf(kind, subresource), standing, object, writer(manager));
      return continued(kind, object, second + 1);
    },
    owners() {
      const entries = standing?.metadata.managedFields ?? [];
      return Object.fromEntries(
        entries.map(({ manager, operation, subresource, fieldsV1 }) => [
          `${manager}${subresource ? `/${subresource}` : ''}${operation === 'Apply' ? '+' : ''}`,
          fieldsV1!,
        ]),
      );
    },
  };
}
