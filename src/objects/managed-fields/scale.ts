// managedFields of a kind's /scale: a Scale owns one field of its parent (apimachinery's managedfields.ScaleHandler).
import type { ManagedFieldsEntry } from '../types/index.ts';
import { difference, has, setOfPath } from './field-set.ts';
import { decodeManagers, encodeManagers, identifierOf, type Managers } from './managers.ts';

const scaleVersion = 'autoscaling/v1';
/** In the Scale and in every parent that has one. */
const replicas = ['f:spec', 'f:replicas'];
const replicasAlone = setOfPath(replicas);

/** The owners of the parent's replicas, as owners of the Scale's. */
export function toScaleOwners(entries: readonly ManagedFieldsEntry[] | undefined, parentVersion: string): ManagedFieldsEntry[] {
  const owners: Managers = new Map();
  for (const [id, manager] of decodeManagers(entries) ?? []) {
    if (manager.apiVersion === parentVersion && has(manager.set, replicas))
      owners.set(id, { ...manager, apiVersion: scaleVersion, set: replicasAlone });
  }
  return encodeManagers(owners);
}

/** The parent's owners after a write of its Scale, which has these owners now: who lost the replicas there loses them here. */
export function fromScaleOwners(
  entries: readonly ManagedFieldsEntry[] | undefined,
  scaleEntries: readonly ManagedFieldsEntry[] | undefined,
  parentVersion: string,
): ManagedFieldsEntry[] {
  const parents = decodeManagers(entries) ?? (new Map() as Managers);
  const scaling: Managers = new Map();
  for (const [, manager] of decodeManagers(scaleEntries) ?? []) {
    if (!has(manager.set, replicas)) continue;
    const owner = { ...manager, apiVersion: parentVersion };
    scaling.set(identifierOf(owner), owner);
  }
  const result: Managers = new Map();
  for (const [id, manager] of parents) {
    const keeps = scaling.has(id) || !has(manager.set, replicas);
    const set = keeps ? manager.set : difference(manager.set, replicasAlone);
    if (set.size > 0) result.set(id, set === manager.set ? manager : { ...manager, set });
    if (has(manager.set, replicas)) scaling.delete(id);
  }
  // As the reference: new owners by way of the Scale carry no time.
  for (const [id, owner] of scaling) result.set(id, { ...owner, time: parents.get(id)?.time, set: replicasAlone });
  return encodeManagers(result);
}
