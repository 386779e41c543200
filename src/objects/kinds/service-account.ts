import { ageColumn, column, nameColumn } from '../print/columns.ts';
import { resources } from '../resource.ts';
import { declareKind } from './declare.ts';

export const serviceAccountKind = declareKind({
  resource: resources.serviceAccounts,
  returnsDeleted: true,
  subresources: { token: true },
  shortNames: ['sa'],
  columns: [nameColumn, column('Secrets', 'Number of secrets named in it.', (account) => (account['secrets'] ?? []).length), ageColumn],
});
