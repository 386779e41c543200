import { apiVersionOf } from '../../objects/index.ts';
import type { ApiRequest, ApiResponse } from '../api-request.ts';
import type { CachedObject } from '../cached-object.ts';
import { encodeContinue, expiredContinue, type ListOptions, parseListOptions } from '../list-options.ts';
import type { Registry } from '../registry/registry.ts';
import { type Selection, selectionOf } from '../selection.ts';
import { expired } from '../status-errors.ts';
import { parseIncludeObject, toMetadata, toTable } from '../table.ts';
import { waitForRevision } from './get.ts';

interface Page {
  readonly objects: readonly CachedObject[];
  readonly metadata: { resourceVersion: string; continue?: string; remainingItemCount?: number };
}

/** GET of a collection. */
export async function handleList(registry: Registry, request: ApiRequest): Promise<ApiResponse> {
  const { info, query } = request;
  const options = parseListOptions(query);
  await waitForRevision(registry, options.continueFrom?.revision ?? options.resourceVersion);
  const page = selectPage(registry, request, selectionOf(info.kind, info.namespace, query), options);
  return { code: 200, json: render(registry, request, page) };
}

function selectPage({ cache }: Registry, { info }: ApiRequest, selection: Selection, options: ListOptions): Page {
  const { continueFrom, resourceVersion } = options;
  // Revision 0 takes whatever is there, all of it; a page of a revision that is named is of just that one (the API's table for lists).
  const limit = resourceVersion === 0 && !continueFrom ? 0 : options.limit;
  const exact = options.match === 'Exact' || (options.match === '' && limit > 0 && resourceVersion !== undefined);
  const now = cache.revision();
  // All pages of a list are of the revision of its first.
  const revision = continueFrom ? (continueFrom.revision ?? now) : exact ? resourceVersion! : now;
  if (revision < cache.oldestRevision(info.kind)) {
    throw continueFrom
      ? expiredContinue(encodeContinue({ revision: undefined, after: continueFrom.after }))
      : expired(`The resourceVersion for the provided list is too old.`);
  }
  const resource = cache.of(info.kind);
  const after = continueFrom ? selection.prefix + continueFrom.after : '';
  const objects: CachedObject[] = [];
  for (const object of resource.objectsAt(selection.prefix, revision, after)) {
    if (selection.filtered && !selection.matches(object)) continue;
    // One more than the page holds: there is a next one.
    if (limit > 0 && objects.length === limit) return nextPage(objects);
    objects.push(object);
  }
  return { objects, metadata: { resourceVersion: String(revision) } };

  function nextPage(page: readonly CachedObject[]): Page {
    const { key } = page.at(-1)!;
    const next = encodeContinue({ revision, after: key.slice(selection.prefix.length) });
    // With a selector the reference does not count what it has not looked at.
    const remaining = selection.filtered ? {} : { remainingItemCount: resource.countAt(selection.prefix, revision, key) };
    return { objects: page, metadata: { resourceVersion: String(revision), continue: next, ...remaining } };
  }
}

function render(registry: Registry, { info, query, accepted }: ApiRequest, { objects, metadata }: Page): string {
  const { resource } = info.kind;
  if (accepted.form === 'table') {
    const { metaVersion } = accepted;
    const options = { includeObject: parseIncludeObject(query), headers: true, now: registry.clock.now(), metaVersion };
    return JSON.stringify(
      toTable(
        info.kind,
        objects.map((object) => object.parse()),
        metadata,
        options,
      ),
    );
  }
  if (accepted.form === 'metadata') {
    const items = objects.map((object) => toMetadata(object.parse(), accepted.metaVersion));
    return JSON.stringify({ kind: 'PartialObjectMetadataList', apiVersion: `meta.k8s.io/${accepted.metaVersion}`, metadata, items });
  }
  const head = `{"kind":"${resource.kind}List","apiVersion":"${apiVersionOf(resource)}","metadata":${JSON.stringify(metadata)},"items":[`;
  return `${head}${objects.map((object) => object.itemJson).join(',')}]}`;
}
