import type { AnyObject } from '../kind.ts';
import { ageColumn, column, nameColumn } from '../print/columns.ts';
import { resources } from '../resource.ts';
import { dnsLabel } from '../validation/names.ts';
import { declareKind, keep } from './declare.ts';

export const namespaceKind = declareKind({
  resource: resources.namespaces,
  returnsDeleted: true,
  shortNames: ['ns'],
  subresources: { status: true, finalize: true },
  nameRule: dnsLabel,
  defaults({ metadata }) {
    // kubernetes.io/metadata.name lets network policies select a namespace by its name; nobody can remove it.
    if (metadata.name) metadata.labels = { ...metadata.labels, 'kubernetes.io/metadata.name': metadata.name };
  },
  onCreate(object) {
    const finalizers: string[] = object.spec?.finalizers ?? [];
    object.spec = { ...object.spec, finalizers: finalizers.includes('kubernetes') ? finalizers : [...finalizers, 'kubernetes'] };
    object.status = { phase: 'Active' };
  },
  // Finalizers of the spec change through the finalize subresource alone.
  onUpdate: (object: AnyObject, old: AnyObject) => keep(object, old, 'spec'),
  columns: [
    nameColumn,
    column('Status', 'Active, or Terminating while its objects are deleted.', ({ status }) => status?.phase ?? ''),
    ageColumn,
  ],
  selectable: { 'status.phase': ({ status }) => status?.phase },
});
