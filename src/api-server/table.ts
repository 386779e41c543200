import type { AnyObject, KindDeclaration } from '../objects/index.ts';
import { badRequest } from './status-errors.ts';

/** What of the object each row carries. */
export type IncludeObject = 'None' | 'Metadata' | 'Object';

export function parseIncludeObject(query: URLSearchParams): IncludeObject {
  const value = query.get('includeObject') || 'Metadata';
  if (value === 'None' || value === 'Metadata' || value === 'Object') return value;
  throw badRequest(`unrecognized includeObject value: ${JSON.stringify(value.slice(0, 40))}`);
}

export interface TableOptions {
  readonly includeObject: IncludeObject;
  /** False on all but the first event of a watch. */
  readonly headers: boolean;
  /** Milliseconds since the epoch, for ages. */
  readonly now: number;
}

/** A meta/v1 Table: how the server prints objects for people (KEP-515). */
export function toTable(
  kind: KindDeclaration,
  objects: readonly AnyObject[],
  listMetadata: object,
  { includeObject, headers, now }: TableOptions,
): object {
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: listMetadata,
    columnDefinitions: headers
      ? kind.columns.map(({ name, type, format = '', description, priority }) => ({ name, type, format, description, priority }))
      : [],
    rows: objects.map((object) => ({
      cells: kind.columns.map((column) => column.cell(object, now)),
      ...(includeObject === 'None' ? {} : { object: includeObject === 'Object' ? object : toMetadata(object) }),
    })),
  };
}

/** meta/v1 PartialObjectMetadata. */
export const toMetadata = ({ metadata }: AnyObject): object => ({ kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata });
