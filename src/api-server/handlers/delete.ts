import { apiVersionOf } from '../../objects/index.ts';
import type { ApiRequest, ApiResponse } from '../api-request.ts';
import { decodeObject } from '../decode.ts';
import { deleteObject, type DeleteResult } from '../registry/delete.ts';
import type { DeleteOptions } from '../registry/deletion-rules.ts';
import type { Registry } from '../registry/registry.ts';
import { selectionOf } from '../selection.ts';
import { badRequest, StatusError, success } from '../status-errors.ts';
import { isDryRun } from '../write-options.ts';

/** Resources whose deletion answers with the object rather than with a Status, as in the reference. */
const returnsObject: ReadonlySet<string> = new Set(['pods', 'services', 'serviceaccounts']);

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
  const { resource } = info.kind;
  return gone && !returnsObject.has(resource.plural) ? JSON.stringify(success(resource, object)) : json;
}

/** DELETE of a collection: every object that the selectors match; answers with the list of them. */
export async function handleDeleteCollection(registry: Registry, request: ApiRequest): Promise<ApiResponse> {
  const { info, query, user } = request;
  const { kind } = info;
  const { options, dryRun } = await readDeleteOptions(request);
  const selection = selectionOf(kind, info.namespace, query);
  const chosen = registry.cache
    .of(kind)
    .list(selection.prefix)
    .filter((object) => selection.matches(object));
  const results = await Promise.all(
    chosen.map(async ({ namespace = '', name }) => {
      try {
        return await deleteObject(registry, kind, namespace, name, options, { user, dryRun });
      } catch (error) {
        // Somebody else was faster.
        if (error instanceof StatusError && error.status.code === 404) return undefined;
        throw error;
      }
    }),
  );
  const items = results.flatMap((result) => result?.json ?? []);
  const metadata = JSON.stringify({ resourceVersion: String(registry.cache.revision()) });
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
    return { options: checkOptions(object as unknown as DeleteOptions), dryRun: isDryRun(object['dryRun'] ?? []) };
  }
  const grace = query.get('gracePeriodSeconds');
  if (grace !== null && !/^-?\d{1,9}$/.test(grace)) throw badRequest('gracePeriodSeconds must be a whole number');
  const policy = query.get('propagationPolicy');
  const orphan = query.get('orphanDependents');
  const options = {
    ...(grace === null ? {} : { gracePeriodSeconds: Number(grace) }),
    ...(policy ? { propagationPolicy: policy } : {}),
    ...(orphan === null ? {} : { orphanDependents: orphan === 'true' }),
  };
  return { options: checkOptions(options as DeleteOptions), dryRun: isDryRun(query.getAll('dryRun')) };
}

function checkOptions(options: DeleteOptions): DeleteOptions {
  const { propagationPolicy, orphanDependents } = options;
  const fail = (field: string, message: string) =>
    new StatusError({
      code: 422,
      reason: 'Invalid',
      message: `DeleteOptions.meta.k8s.io "" is invalid: ${field}: ${message}`,
      details: { group: 'meta.k8s.io', kind: 'DeleteOptions', causes: [{ reason: 'FieldValueInvalid', message, field }] },
    });
  if (propagationPolicy !== undefined && !['Foreground', 'Background', 'Orphan'].includes(propagationPolicy)) {
    throw fail(
      'propagationPolicy',
      `Unsupported value: ${JSON.stringify(propagationPolicy)}: supported values: "Background", "Foreground", "Orphan"`,
    );
  }
  if (propagationPolicy !== undefined && orphanDependents !== undefined) {
    throw fail('propagationPolicy', 'Invalid value: orphanDependents and deletionPropagation cannot be both set');
  }
  return options;
}
