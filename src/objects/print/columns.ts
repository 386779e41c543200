import type { AnyObject, TableColumn } from '../kind.ts';
import { humanDuration } from './duration.ts';

type Cell = TableColumn['cell'];

/** A column that is always shown. */
export const column = (name: string, description: string, cell: Cell, type: TableColumn['type'] = 'string'): TableColumn => ({
  name,
  type,
  description,
  priority: 0,
  cell,
});

/** A column that only `-o wide` shows. */
export const wideColumn = (name: string, description: string, cell: Cell, type: TableColumn['type'] = 'string'): TableColumn => ({
  ...column(name, description, cell, type),
  priority: 1,
});

export const nameColumn: TableColumn = {
  ...column('Name', 'Name of the object, unique among its kind in its namespace.', ({ metadata }) => metadata.name),
  format: 'name',
};

/** Time since an RFC 3339 timestamp as kubectl prints it; `<unknown>` without one. */
export const since = (timestamp: string | null | undefined, now: number): string =>
  timestamp ? humanDuration(now - Date.parse(timestamp)) : '<unknown>';

export const ageColumn: TableColumn = column('Age', 'Time since the object was created.', ({ metadata }, now) =>
  since(metadata.creationTimestamp, now),
);

/** `a=b,c=d` in order of keys; `<none>` when empty. */
export function formatLabels(labels: Readonly<Record<string, string>> | undefined): string {
  const pairs = Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`);
  return pairs.length > 0 ? pairs.toSorted().join(',') : '<none>';
}

export const orNone = (text: string | undefined): string => text || '<none>';

/** The first three items and how many there are beyond them; `empty` for none. */
export function formatSome(items: readonly string[], empty: string): string {
  if (items.length === 0) return empty;
  return items.length > 3 ? `${items.slice(0, 3).join(',')} + ${items.length - 3} more...` : items.join(',');
}

/** Names and images of a pod template's containers, as the wide columns of workloads show them. */
export const templateColumns: readonly TableColumn[] = [
  wideColumn('Containers', 'Names of the containers in the template.', (object) =>
    containersOf(object)
      .map(({ name }) => name)
      .join(','),
  ),
  wideColumn('Images', 'Images of the containers in the template.', (object) =>
    containersOf(object)
      .map(({ image }) => image ?? '')
      .join(','),
  ),
];

const containersOf = (object: AnyObject): { name: string; image?: string }[] => object.spec?.template?.spec?.containers ?? [];
