import { isDeepStrictEqual } from 'node:util';
import type { AnyObject } from '../kind.ts';
import { ageColumn, column, nameColumn } from '../print/columns.ts';
import { resources } from '../resource.ts';
import type { OwnerReference, StatusCause } from '../types/index.ts';
import { invalid, required } from '../validation/causes.ts';
import { immutableText, negativeText } from '../validation/names.ts';
import { declareKind } from './declare.ts';

export const controllerRevisionKind = declareKind({
  resource: resources.controllerRevisions,
  validate: (revision, old) => [
    ...(revision['data'] === undefined || revision['data'] === null ? [required('data', 'data is mandatory')] : []),
    ...validateRevision(revision['revision']),
    ...(old && !isDeepStrictEqual(revision['data'], old['data']) ? [invalid('data', revision['data'] ?? null, immutableText)] : []),
  ],
  columns: [
    nameColumn,
    column('Controller', 'What the revision is of.', controllerText),
    column('Revision', 'Place in the history; the highest is the present one.', (object) => object['revision'] ?? 0),
    ageColumn,
  ],
});

const validateRevision = (revision: unknown): StatusCause[] =>
  typeof revision === 'number' && revision < 0 ? [invalid('revision', revision, negativeText)] : [];

/** `daemonset.apps/web`, as kubectl names an object. */
function controllerText({ metadata }: AnyObject): string {
  const owner = metadata.ownerReferences?.find(({ controller }: OwnerReference) => controller);
  if (!owner) return '<none>';
  // Rows are made for whatever is stored, and nothing in it is certain.
  const [group = ''] = (owner.apiVersion ?? '').split('/').slice(0, -1);
  return `${(owner.kind ?? '').toLowerCase()}${group && `.${group}`}/${owner.name ?? ''}`;
}
