import type { AnyObject, TableColumn } from './kind.ts';
import { ageColumn, column, nameColumn } from './print/columns.ts';
import { formatLabelSelector } from './selectors.ts';
import type { StatusCause } from './types/index.ts';
import { invalid } from './validation/causes.ts';
import { negativeText } from './validation/names.ts';

/** The autoscaling/v1 Scale of a Deployment, ReplicaSet or StatefulSet. */
export function toScale({ metadata, spec, status }: AnyObject): AnyObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = metadata;
  const selector = formatLabelSelector(spec?.selector);
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: {
      name,
      ...(namespace !== undefined && { namespace }),
      ...(uid !== undefined && { uid }),
      ...(resourceVersion !== undefined && { resourceVersion }),
      ...(creationTimestamp !== undefined && { creationTimestamp }),
    },
    spec: spec?.replicas ? { replicas: spec.replicas } : {},
    status: { replicas: status?.replicas ?? 0, ...(selector && { selector }) },
  };
}

/** Writes the scale's replicas into the object, in place. An absent number is 0, as in Go. Run prepareForUpdate afterwards. */
export function applyScale(object: AnyObject, scale: AnyObject): void {
  object.spec = { ...object.spec, replicas: scale.spec?.replicas ?? 0 };
}

/** What is wrong with a Scale. */
export const validateScale = ({ spec }: AnyObject): StatusCause[] =>
  spec?.replicas < 0 ? [invalid('spec.replicas', spec.replicas, negativeText)] : [];

/** How a Scale is printed. */
export const scaleColumns: readonly TableColumn[] = [
  nameColumn,
  column('Desired', 'Replicas wanted.', ({ spec }) => spec?.replicas ?? 0, 'integer'),
  column('Available', 'Replicas that exist.', ({ status }) => status?.replicas ?? 0, 'integer'),
  ageColumn,
];
