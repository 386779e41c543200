import type { ApiRequest, ApiResponse } from '../api-request.ts';
import { storeKey } from '../cached-object.ts';
import { parseResourceVersion } from '../list-options.ts';
import type { Registry } from '../registry/registry.ts';
import { notFound, tooLargeRevision } from '../status-errors.ts';
import { parseIncludeObject, toMetadata, toTable } from '../table.ts';

/** How long a read waits for a revision that is not here yet (ms), as the reference. */
const revisionWait = 3_000;

/** @throws StatusError 504 when the revision does not come in time. */
export async function waitForRevision({ cache }: Registry, revision: number | undefined): Promise<void> {
  if (revision !== undefined && !(await cache.waitFor(revision, revisionWait))) throw tooLargeRevision(revision, cache.revision());
}

/** GET of one object. */
export async function handleGet(registry: Registry, { info, query, accepted }: ApiRequest): Promise<ApiResponse> {
  const { kind, namespace, name } = info;
  await waitForRevision(registry, parseResourceVersion(query));
  const found = registry.cache.of(kind).get(storeKey(kind.resource, namespace, name));
  if (!found) throw notFound(kind.resource, name);
  if (accepted.form === 'object') return { code: 200, json: found.json };
  const object = found.parse();
  if (accepted.form === 'metadata') return { code: 200, json: JSON.stringify(toMetadata(object)) };
  const options = { includeObject: parseIncludeObject(query), headers: true, now: registry.clock.now() };
  return { code: 200, json: JSON.stringify(toTable(kind, [object], { resourceVersion: object.metadata.resourceVersion }, options)) };
}
