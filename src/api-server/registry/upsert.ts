import type { AnyObject } from '../../objects/index.ts';
import { StatusError } from '../status-errors.ts';
import { createObject } from './create.ts';
import { maxTries, type Registry, type WriteContext, type WriteResult } from './registry.ts';
import { type Update, updateObject } from './update.ts';

export interface Upsert extends Update {
  /** The object to create when there is none of the name. @throws StatusError when it may not be created. */
  creation(): AnyObject | Promise<AnyObject>;
}

/** Changes an object, or creates it when it does not exist; `created` tells which. @throws StatusError as updateObject and createObject. */
export async function upsertObject(
  registry: Registry,
  upsert: Upsert,
  context: WriteContext,
): Promise<WriteResult & { readonly created: boolean }> {
  const { kind, namespace, owners, creation } = upsert;
  for (let attempt = 0; ; attempt++) {
    // Another may create or delete it between the two.
    const last = attempt === maxTries - 1;
    try {
      return { ...(await updateObject(registry, upsert, context)), created: false };
    } catch (error) {
      if (last || !isReason(error, 'NotFound')) throw error;
    }
    try {
      const object = await creation();
      // A revision of an object that went is no condition for the one that takes its place: who holds a lease anew sends the old one.
      delete object.metadata.resourceVersion;
      return { ...(await createObject(registry, kind, namespace, object, context, owners)), created: true };
    } catch (error) {
      if (last || !isReason(error, 'AlreadyExists')) throw error;
    }
  }
}

const isReason = (error: unknown, reason: string): boolean => error instanceof StatusError && error.status.reason === reason;
