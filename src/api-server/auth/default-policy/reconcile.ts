import { isDeepStrictEqual } from 'node:util';
import type { AnyObject } from '../../../objects/index.ts';
import type { PolicyRule } from '../authorization/policy-rule.ts';
import type { Subject } from '../authorization/rbac-index.ts';
import { uncoveredRules } from '../authorization/rules-cover.ts';
import { autoUpdateAnnotation } from './policy.ts';

/*
 * What becomes of a default role or binding that a cluster already has, when the server starts: what it lacks is added, what others added
 * stays (the reference's auth/rbac/reconciliation). Pure.
 */

const isProtected = ({ metadata }: AnyObject): boolean => metadata.annotations?.[autoUpdateAnnotation] === 'false';

/** The existing object wins: a label that somebody set otherwise stays. */
const mergedMetadata = (existing: AnyObject, wanted: AnyObject): AnyObject['metadata'] => ({
  ...existing.metadata,
  labels: { ...wanted.metadata.labels, ...existing.metadata.labels },
  annotations: { ...wanted.metadata.annotations, ...existing.metadata.annotations },
});

/** The role as it is to be; undefined when nothing is to be done. */
export function reconciledRole(existing: AnyObject, wanted: AnyObject): AnyObject | undefined {
  if (isProtected(existing)) return undefined;
  const rules: PolicyRule[] = existing['rules'] ?? [];
  const missing = uncoveredRules(rules, wanted['rules'] ?? []);
  const { aggregationRule: _standing, ...rest } = existing;
  const aggregationRule = wanted['aggregationRule'] && joinSelectors(existing, wanted);
  return changed(existing, {
    ...rest,
    metadata: mergedMetadata(existing, wanted),
    ...(rules.length + missing.length > 0 ? { rules: [...rules, ...missing] } : {}),
    ...(aggregationRule ? { aggregationRule } : {}),
  });
}

function joinSelectors(existing: AnyObject, wanted: AnyObject): object {
  const standing: object[] = existing['aggregationRule']?.clusterRoleSelectors ?? [];
  const lacking = (wanted['aggregationRule'].clusterRoleSelectors as object[]).filter(
    (selector) => !standing.some((other) => isDeepStrictEqual(other, selector)),
  );
  return { clusterRoleSelectors: [...standing, ...lacking] };
}

/** The binding as it is to be; `'recreate'` when it binds another role, which cannot be changed; undefined when nothing is to be done. */
export function reconciledBinding(existing: AnyObject, wanted: AnyObject): AnyObject | 'recreate' | undefined {
  if (isProtected(existing)) return undefined;
  if (!isDeepStrictEqual(existing['roleRef'], wanted['roleRef'])) return 'recreate';
  const subjects: Subject[] = existing['subjects'] ?? [];
  const missing = ((wanted['subjects'] ?? []) as Subject[]).filter(
    (subject) => !subjects.some((other) => isDeepStrictEqual(other, subject)),
  );
  return changed(existing, {
    ...existing,
    metadata: mergedMetadata(existing, wanted),
    ...(subjects.length + missing.length > 0 ? { subjects: [...subjects, ...missing] } : {}),
  });
}

const changed = (existing: AnyObject, next: AnyObject): AnyObject | undefined => (isDeepStrictEqual(existing, next) ? undefined : next);
