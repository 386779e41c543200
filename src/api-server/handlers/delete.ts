import { type AnyObject, apiVersionOf } from '../../objects/index.ts';
import type { ApiRequest, ApiResponse } from '../api-request.ts';
import { decodeObject } from '../decode.ts';
import { deleteObject, type DeleteResult } from '../registry/delete.ts';
import type { DeleteOptions } from '../registry/deletion-rules.ts';
import type { Registry } from '../registry/registry.ts';
import { parseListOptions } from '../list-options.ts';
import { selectionOf } from '../selection.ts';
import { waitForRevision } from './get.ts';
import { badRequest, invalidOptions, parseIntText, StatusError, success } from '../status-errors.ts';
import { isDryRun } from '../write-options.ts';

/** DELETE of one object. */
export async function handleDelete(registry: Registry, request: ApiRequest): Promise<ApiResponse> {
  const { kind, namespace, name } = request.info;
  const { options, dryRun } = await readDeleteOptions(request);
  const result = await deleteObject(registry, kind, namespace, name, options, { user: request.user, dryRun });
  return { code: codeOf(result, options), json: answer(request, result) };
}

/** 202 only for a cascade that was asked for and is not done; other unfinished deletions are 200 for old clients' sake. */
const codeOf = ({ gone }: DeleteResult, { orphanDependents }: DeleteOptions): number => (!gone && orphanDependents === false ? 202 : 200);

function answer({ info }: ApiRequest, { object, json, gone }: DeleteResult): string {
  const { resource, returnsDeleted } = info.kind;
  if (!gone) return json;
  if (!returnsDeleted) return JSON.stringify(success(resource, object));
  // Only what is deleted by way of a grace period is shown with one.
  if (resource.plural === 'pods') return json;
  const { deletionTimestamp: _at, deletionGracePeriodSeconds: _grace, ...metadata } = (JSON.parse(json) as AnyObject).metadata;
  return JSON.stringify({ ...JSON.parse(json), metadata });
}

/** DELETE of a collection: every object that the selectors match; answers with the list of them. */
export async function handleDeleteCollection(registry: Registry, request: ApiRequest): Promise<ApiResponse> {
  const { info, query, user } = request;
  const { kind } = info;
  const { options, dryRun } = await readDeleteOptions(request);
  const selection = selectionOf(kind, info.namespace, query);
  const { limit } = parseListOptions(query);
  await waitForRevision(registry, undefined);
  const revision = registry.cache.revision();
  const matching = registry.cache
    .of(kind)
    .list(selection.prefix)
    .filter((object) => selection.matches(object));
  const chosen = limit === 0 ? matching : matching.slice(0, limit);
  const results = await Promise.all(
    chosen.map(async (object) => {
      try {
        await deleteObject(registry, kind, object.namespace ?? '', object.name, options, { user, dryRun });
        return [object.itemJson];
      } catch (error) {
        // Somebody else was faster.
        if (error instanceof StatusError && error.status.code === 404) return [];
        throw error;
      }
    }),
  );
  // What was found, as it was found.
  const items = results.flat();
  const metadata = JSON.stringify({ resourceVersion: String(revision) });
  return {
    code: 200,
    json: `{"kind":"${kind.resource.kind}List","apiVersion":"${apiVersionOf(kind.resource)}","metadata":${metadata},"items":[${items.join(',')}]}`,
  };
}

const schema = 'k8s.io.apimachinery.pkg.apis.meta.v1.DeleteOptions';

/** DeleteOptions come in the body, or else as query parameters. @throws StatusError 400 or 422. */
async function readDeleteOptions({
  query,
  body,
}: Pick<ApiRequest, 'query' | 'body'>): Promise<{ options: DeleteOptions; dryRun: boolean }> {
  if (body.bytes.length > 0) {
    // DeleteOptions are registered in every group.
    const { object } = await decodeObject(body, { apiVersion: '', kind: 'DeleteOptions', schema }, 'Ignore');
    return { options: checkOptions(object as unknown as DeleteOptions), dryRun: isDryRun(object['dryRun'] ?? [], 'DeleteOptions') };
  }
  const grace = query.get('gracePeriodSeconds');
  if (grace !== null && !/^[+-]?\d{1,15}$/.test(grace)) throw badRequest(parseIntText(grace));
  const policy = query.get('propagationPolicy');
  const orphan = query.get('orphanDependents');
  const options = {
    ...(grace === null ? {} : { gracePeriodSeconds: Number(grace) }),
    ...(policy ? { propagationPolicy: policy } : {}),
    ...(orphan === null ? {} : { orphanDependents: orphan === 'true' }),
  };
  return { options: checkOptions(options as DeleteOptions), dryRun: isDryRun(query.getAll('dryRun'), 'DeleteOptions') };
}

function checkOptions(options: DeleteOptions): DeleteOptions {
  const { propagationPolicy, orphanDependents } = options;
  const field = 'propagationPolicy';
  const value = JSON.stringify(propagationPolicy);
  if (propagationPolicy !== undefined && orphanDependents !== undefined) {
    const message = `Invalid value: ${value}: orphanDependents and deletionPropagation cannot be both set`;
    throw invalidOptions('DeleteOptions', [{ reason: 'FieldValueInvalid', message, field }]);
  }
  if (propagationPolicy !== undefined && !['Foreground', 'Background', 'Orphan'].includes(propagationPolicy)) {
    const message = `Unsupported value: ${value}: supported values: "Foreground", "Background", "Orphan", "nil"`;
    throw invalidOptions('DeleteOptions', [{ reason: 'FieldValueNotSupported', message, field }]);
  }
  return options;
}
