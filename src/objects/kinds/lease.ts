import { ageColumn, column, nameColumn } from '../print/columns.ts';
import { resources } from '../resource.ts';
import type { StatusCause } from '../types/index.ts';
import { invalid } from '../validation/causes.ts';
import { negativeText } from '../validation/names.ts';
import { declareKind } from './declare.ts';

export const leaseKind = declareKind({
  resource: resources.leases,
  createsOnUpdate: true,
  needsResourceVersion: true,
  validate({ spec = {} }) {
    const causes: StatusCause[] = [];
    if (spec.leaseDurationSeconds !== undefined && spec.leaseDurationSeconds <= 0) {
      causes.push(invalid('spec.leaseDurationSeconds', spec.leaseDurationSeconds, 'must be greater than 0'));
    }
    if (spec.leaseTransitions < 0) causes.push(invalid('spec.leaseTransitions', spec.leaseTransitions, negativeText));
    return causes;
  },
  columns: [nameColumn, column('Holder', 'Who holds the lease.', ({ spec }) => spec?.holderIdentity ?? ''), ageColumn],
});
