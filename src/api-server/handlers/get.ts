import type { ApiRequest, ApiResponse } from '../api-request.ts';
import { storeKey } from '../cached-object.ts';
import { parseResourceVersion } from '../list-options.ts';
import type { Registry } from '../registry/registry.ts';
import { notFound, tooLargeRevision } from '../status-errors.ts';

/** How long a read waits for a revision that is not here yet (ms), as the reference. */
const revisionWait = 3_000;

/**
 * Waits until what a read asked for is here: the revision, or without one everything that was acknowledged until now by whichever server.
 * @throws StatusError 504 when the revision does not come in time.
 */
export async function waitForRevision({ cache, store }: Registry, revision: number | undefined): Promise<void> {
  if (revision === undefined && store.shared) await store.consistentRevision();
  if (revision !== undefined && !(await cache.waitFor(revision, revisionWait))) throw tooLargeRevision(revision, cache.revision());
}

/** GET of one object. */
export async function handleGet(registry: Registry, { info, query }: ApiRequest): Promise<ApiResponse> {
  const { kind, namespace, name } = info;
  await waitForRevision(registry, parseResourceVersion(query));
  const found = registry.cache.of(kind).get(storeKey(kind.resource, namespace, name));
  if (!found) throw notFound(kind.resource, name);
  return { code: 200, json: found.json };
}
