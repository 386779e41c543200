import {
  type AnyObject,
  applyConfiguration,
  ApplyConflictError,
  ApplyRequestError,
  ConfigurationError,
  fieldTargetOf,
} from '../../objects/index.ts';
import type { ApiRequest, ApiResponse } from '../api-request.ts';
import { checkObject, expectedOf } from '../decode.ts';
import { readConfiguration } from '../patch.ts';
import { type Registry, timestamp } from '../registry/registry.ts';
import { updateObject } from '../registry/update.ts';
import { upsertObject } from '../registry/upsert.ts';
import { badRequest, conflict, StatusError } from '../status-errors.ts';
import { managerOf, parseWriteOptions, type WriteOptions } from '../write-options.ts';
import { checkName, checkUid } from './identity.ts';
import { preparation } from './update.ts';

type FieldTarget = ReturnType<typeof fieldTargetOf>;

/** A server-side apply, read. */
export interface Apply {
  readonly options: WriteOptions;
  readonly manager: string;
  /** The live object (undefined when there is none) with the configuration, and its managedFields. @throws StatusError 400, 409, 500. */
  to(target: FieldTarget, live: AnyObject | undefined): AnyObject;
}

/** Reads a PATCH of type application/apply-patch+yaml. @throws StatusError 400, 413, 422. */
export async function readApply(registry: Registry, { query, body, userAgent, warnings }: ApiRequest): Promise<Apply> {
  const options = parseWriteOptions(query, 'PatchOptions', true);
  const { configuration, warnings: told } = await readConfiguration(body, options.fieldValidation);
  warnings.push(...told);
  const manager = managerOf(options, userAgent);
  return {
    options,
    manager,
    to(target, live) {
      try {
        return applyConfiguration(target, live, configuration, { manager, now: timestamp(registry.clock) }, options.force);
      } catch (error) {
        throw toStatusError(error);
      }
    },
  };
}

function toStatusError(error: unknown): unknown {
  if (error instanceof ApplyConflictError) {
    return new StatusError({ code: 409, reason: 'Conflict', message: error.message, details: { causes: error.causes } });
  }
  if (error instanceof ApplyRequestError) return badRequest(error.message);
  // The reference gives no reason, and calls it its own error.
  return error instanceof ConfigurationError ? new StatusError({ code: 500, message: error.message }) : error;
}

/** PATCH of type application/apply-patch+yaml of an object, which it may create, or of its /status (KEP-555). */
export async function handleApply(registry: Registry, request: ApiRequest): Promise<ApiResponse> {
  const { info, user } = request;
  const { kind, namespace, name, subresource } = info;
  const apply = await readApply(registry, request);
  const target = fieldTargetOf(kind, subresource);
  const applied = (live: AnyObject | undefined): AnyObject => {
    const { object } = checkObject(apply.to(target, live), expectedOf(kind), 'Ignore');
    checkName(object, name);
    return object;
  };
  const change = (current: AnyObject): AnyObject => {
    const object = applied(current);
    checkUid(kind, object, current.metadata.uid);
    return object;
  };
  const update = { kind, namespace, name, subresource, change, prepare: preparation(kind, subresource), owners: 'given' } as const;
  const context = { user, dryRun: apply.options.dryRun, manager: apply.manager };
  if (subresource) return { code: 200, json: (await updateObject(registry, update, context)).json };
  const creation = (): AnyObject => {
    request.requireCreate();
    const object = applied(undefined);
    const { uid } = object.metadata;
    if (uid)
      throw conflict(kind.resource, name, `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`);
    return object;
  };
  const { json, created } = await upsertObject(registry, { ...update, creation }, context);
  return { code: created ? 201 : 200, json };
}
