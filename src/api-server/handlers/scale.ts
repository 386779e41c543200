import {
  type AnyObject,
  apiVersionOf,
  applyScale,
  fromScaleOwners,
  scaleTarget,
  toScale,
  toScaleOwners,
  trackUpdate,
  validateScale,
} from '../../objects/index.ts';
import type { ApiRequest, ApiResponse } from '../api-request.ts';
import { storeKey } from '../cached-object.ts';
import { checkObject, decodeObject, type ExpectedType } from '../decode.ts';
import { isApply, readPatch } from '../patch.ts';
import { type Registry, timestamp } from '../registry/registry.ts';
import { updateObject } from '../registry/update.ts';
import { invalid, methodNotAllowed, notFound } from '../status-errors.ts';
import { managerOf, parseWriteOptions, type WriteOptions } from '../write-options.ts';
import { readApply } from './apply.ts';
import { asObject } from './patch.ts';

const expected: ExpectedType = { apiVersion: 'autoscaling/v1', kind: 'Scale', schema: 'k8s.io.api.autoscaling.v1.Scale' };
const scaleKind = { resource: { group: 'autoscaling', version: 'v1', plural: 'scales', kind: 'Scale', namespaced: true } };

/** GET, PUT and PATCH of /scale: spec.replicas through autoscaling/v1. */
export async function handleScale(registry: Registry, request: ApiRequest): Promise<ApiResponse> {
  switch (request.info.verb) {
    case 'get':
      return { code: 200, json: JSON.stringify(toScale(read(registry, request))) };
    case 'update': {
      const options = parseWriteOptions(request.query, 'UpdateOptions');
      const { object, warnings } = await decodeObject(request.body, expected, options.fieldValidation);
      request.warnings.push(...warnings);
      return write(
        registry,
        request,
        options,
        tracked(registry, request, options, () => structuredClone(object)),
      );
    }
    case 'patch':
      return isApply(request.body) ? apply(registry, request) : patch(registry, request);
    default:
      throw methodNotAllowed();
  }
}

async function patch(registry: Registry, request: ApiRequest): Promise<ApiResponse> {
  const options = parseWriteOptions(request.query, 'PatchOptions');
  const change = await readPatch(request.body, expected.schema);
  const patched = (scale: AnyObject) => checkObject(asObject(change(scale)), expected, options.fieldValidation).object;
  return write(registry, request, options, tracked(registry, request, options, patched));
}

async function apply(registry: Registry, request: ApiRequest): Promise<ApiResponse> {
  const { options, to } = await readApply(registry, request);
  return write(registry, request, options, (scale) => checkObject(to(scaleTarget, scale), expected, 'Ignore').object);
}

function read({ cache }: Registry, { info: { kind, namespace, name } }: ApiRequest): AnyObject {
  const found = cache.of(kind).get(storeKey(kind.resource, namespace, name));
  if (!found) throw notFound(kind.resource, name);
  return found.parse();
}

/** A change of a Scale, with the owners of its fields. */
function tracked(
  { clock }: Registry,
  { userAgent }: ApiRequest,
  options: WriteOptions,
  change: (scale: AnyObject) => AnyObject,
): (scale: AnyObject) => AnyObject {
  return (scale) => {
    const changed = change(structuredClone(scale));
    trackUpdate(scaleTarget, scale, changed, { manager: managerOf(options, userAgent), now: timestamp(clock) });
    return changed;
  };
}

async function write(
  registry: Registry,
  { info, user, userAgent }: ApiRequest,
  options: WriteOptions,
  scaleFrom: (scale: AnyObject) => AnyObject,
): Promise<ApiResponse> {
  const { kind, namespace, name, subresource } = info;
  const version = apiVersionOf(kind.resource);
  const change = (current: AnyObject): AnyObject => {
    const live = toScale(current);
    const owners = toScaleOwners(current.metadata.managedFields, version);
    if (owners.length > 0) live.metadata.managedFields = owners;
    const scale = scaleFrom(live);
    const causes = validateScale(scale);
    if (causes.length > 0) throw invalid(scaleKind, name, causes);
    applyScale(current, scale);
    // Of the scale's metadata only what the write may depend on counts, and who owns the replicas now.
    const { resourceVersion, uid, managedFields } = scale.metadata;
    if (resourceVersion) current.metadata.resourceVersion = resourceVersion;
    if (uid) current.metadata.uid = uid;
    const ownersNow = fromScaleOwners(current.metadata.managedFields, managedFields, version);
    if (ownersNow.length > 0) current.metadata.managedFields = ownersNow;
    else delete current.metadata.managedFields;
    return current;
  };
  const update = { kind, namespace, name, subresource, change, prepare: kind.prepareForUpdate, owners: 'given' } as const;
  const { json } = await updateObject(registry, update, { user, dryRun: options.dryRun, manager: managerOf(options, userAgent) });
  return { code: 200, json: JSON.stringify(toScale(JSON.parse(json) as AnyObject)) };
}
