import type { AnyObject, TableColumn } from '../objects/index.ts';
import type { Accepted } from './negotiate.ts';
import { badRequest } from './status-errors.ts';

/** What of the object each row carries. */
export type IncludeObject = 'None' | 'Metadata' | 'Object';

export function parseIncludeObject(query: URLSearchParams): IncludeObject {
  const value = query.get('includeObject') || 'Metadata';
  if (value === 'None' || value === 'Metadata' || value === 'Object') return value;
  const shown = JSON.stringify(value.slice(0, 40));
  throw badRequest(`includeObject: Invalid value: ${shown}: must be 'Metadata', 'Object', 'None', or empty`);
}

export interface TableOptions {
  readonly includeObject: IncludeObject;
  /** False on all but the first event of a watch. */
  readonly headers: boolean;
  /** Milliseconds since the epoch, for ages. */
  readonly now: number;
  readonly metaVersion?: Accepted['metaVersion'];
}

/** A meta/v1 Table: how the server prints objects for people (KEP-515). */
export function toTable(
  { columns }: { readonly columns: readonly TableColumn[] },
  objects: readonly AnyObject[],
  listMetadata: object,
  { includeObject, headers, now, metaVersion = 'v1' }: TableOptions,
): object {
  const shown = (object: AnyObject): object | null => {
    if (includeObject === 'None') return null;
    return includeObject === 'Object' ? object : toMetadata(object, metaVersion);
  };
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${metaVersion}`,
    metadata: listMetadata,
    columnDefinitions: headers
      ? columns.map(({ name, type, format = '', description, priority }) => ({ name, type, format, description, priority }))
      : null,
    rows: objects.map((object) => ({ cells: columns.map((column) => column.cell(object, now)), object: shown(object) })),
  };
}

/** meta/v1 PartialObjectMetadata. */
export const toMetadata = ({ metadata }: AnyObject, metaVersion: Accepted['metaVersion'] = 'v1'): object => ({
  kind: 'PartialObjectMetadata',
  apiVersion: `meta.k8s.io/${metaVersion}`,
  metadata,
});

/** One object, given as JSON text, in the form that was negotiated. A Status is told as it is. */
export function presentObject(
  columns: readonly TableColumn[],
  json: string,
  { form, metaVersion }: Accepted,
  options: Pick<TableOptions, 'includeObject' | 'now'>,
): string {
  if (form === 'object') return json;
  const object = JSON.parse(json) as AnyObject;
  if (object.kind === 'Status') return json;
  if (form === 'metadata') return JSON.stringify(toMetadata(object, metaVersion));
  const metadata = { resourceVersion: object.metadata.resourceVersion };
  return JSON.stringify(toTable({ columns }, [object], metadata, { ...options, metaVersion, headers: true }));
}
