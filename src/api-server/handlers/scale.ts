import { type AnyObject, applyScale, toScale, validateScale } from '../../objects/index.ts';
import type { ApiRequest, ApiResponse } from '../api-request.ts';
import { storeKey } from '../cached-object.ts';
import { checkObject, decodeObject, type ExpectedType } from '../decode.ts';
import { readPatch } from '../patch.ts';
import type { Registry } from '../registry/registry.ts';
import { updateObject } from '../registry/update.ts';
import { invalid, methodNotAllowed, notFound } from '../status-errors.ts';
import { parseWriteOptions } from '../write-options.ts';
import { asObject } from './patch.ts';

const expected: ExpectedType = { apiVersion: 'autoscaling/v1', kind: 'Scale', schema: 'k8s.io.api.autoscaling.v1.Scale' };
const scaleKind = { resource: { group: 'autoscaling', version: 'v1', plural: 'scales', kind: 'Scale', namespaced: true } };

/** GET, PUT and PATCH of /scale: spec.replicas through autoscaling/v1. */
export async function handleScale(registry: Registry, request: ApiRequest): Promise<ApiResponse> {
  switch (request.info.verb) {
    case 'get':
      return { code: 200, json: JSON.stringify(toScale(read(registry, request))) };
    case 'update': {
      const options = parseWriteOptions(request.query);
      const { object, warnings } = await decodeObject(request.body, expected, options.fieldValidation);
      request.warnings.push(...warnings);
      return write(registry, request, () => object, options.dryRun);
    }
    case 'patch': {
      const options = parseWriteOptions(request.query);
      const patch = await readPatch(request.body, expected.schema);
      return write(
        registry,
        request,
        (scale) => checkObject(asObject(patch(scale)), expected, options.fieldValidation).object,
        options.dryRun,
      );
    }
    default:
      throw methodNotAllowed();
  }
}

function read({ cache }: Registry, { info: { kind, namespace, name } }: ApiRequest): AnyObject {
  const found = cache.of(kind).get(storeKey(kind.resource, namespace, name));
  if (!found) throw notFound(kind.resource, name);
  return found.parse();
}

async function write(
  registry: Registry,
  { info, user }: ApiRequest,
  scaleFrom: (scale: AnyObject) => AnyObject,
  dryRun: boolean,
): Promise<ApiResponse> {
  const { kind, namespace, name, subresource } = info;
  const change = (current: AnyObject): AnyObject => {
    const scale = scaleFrom(toScale(current));
    const causes = validateScale(scale);
    if (causes.length > 0) throw invalid(scaleKind, name, causes);
    applyScale(current, scale);
    // Of the scale's metadata only what the write may depend on counts.
    const { resourceVersion, uid } = scale.metadata;
    if (resourceVersion) current.metadata.resourceVersion = resourceVersion;
    if (uid) current.metadata.uid = uid;
    return current;
  };
  const update = { kind, namespace, name, subresource, change, prepare: kind.prepareForUpdate };
  const { json } = await updateObject(registry, update, { user, dryRun });
  return { code: 200, json: JSON.stringify(toScale(JSON.parse(json) as AnyObject)) };
}
