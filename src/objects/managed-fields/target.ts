import { findKindByName } from '../kinds.ts';
import type { KindDeclaration } from '../kind.ts';
import type { FieldTarget } from './field-manager.ts';

const known = new WeakMap<KindDeclaration, Map<string, FieldTarget>>();

/** What a kind's endpoint writes: '' the object itself, `status`, or a namespace's `finalize`. */
export function fieldTargetOf(kind: KindDeclaration, subresource: string): FieldTarget {
  let targets = known.get(kind);
  if (!targets) known.set(kind, (targets = new Map()));
  let target = targets.get(subresource);
  if (!target) {
    const { group, version, kind: name } = kind.resource;
    target = {
      schema: kind.schema,
      group,
      version,
      kind: name,
      subresource,
      resetFields: resetFields(kind, subresource),
      servesVersion: (apiVersion) => findKindByName(apiVersion, name) !== undefined,
    };
    targets.set(subresource, target);
  }
  return target;
}

/** What besides spec the status of a kind cannot change (GetResetFields of the reference's strategies). */
const keptByStatus: Readonly<Record<string, readonly (readonly string[])[]>> = {
  pods: [
    ['f:metadata', 'f:deletionTimestamp'],
    ['f:metadata', 'f:ownerReferences'],
  ],
  deployments: [['f:metadata', 'f:labels']],
};

function resetFields({ resource, subresources }: KindDeclaration, subresource: string): readonly (readonly string[])[] {
  if (subresource === 'status') return [['f:spec'], ...(keptByStatus[resource.plural] ?? [])];
  return subresources.status ? [['f:status']] : [];
}

/** The autoscaling/v1 Scale of any kind. */
export const scaleTarget: FieldTarget = {
  schema: 'k8s.io.api.autoscaling.v1.Scale',
  group: 'autoscaling',
  version: 'v1',
  kind: 'Scale',
  subresource: 'scale',
  resetFields: [],
  servesVersion: () => false,
};
