import { isDeepStrictEqual } from 'node:util';
import { type AnyObject, type LabelSelector, matchesLabelSelector } from '../../../objects/index.ts';
import type { PolicyRule } from '../authorization/policy-rule.ts';

/**
 * The rules that a ClusterRole with an aggregationRule gathers: of each selector in turn, the rules of the roles it selects by name, none twice
 * (the reference's clusterrole-aggregation controller). `undefined` when the role aggregates nothing.
 */
export function aggregatedRules(role: AnyObject, all: readonly AnyObject[]): PolicyRule[] | undefined {
  const selectors: LabelSelector[] | undefined = role['aggregationRule']?.clusterRoleSelectors;
  if (!role['aggregationRule']) return undefined;
  const byName = all.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const rules: PolicyRule[] = [];
  for (const selector of selectors ?? []) {
    for (const other of byName) {
      if (other.metadata.name === role.metadata.name || !matchesLabelSelector(selector, other.metadata.labels)) continue;
      for (const rule of (other['rules'] ?? []) as PolicyRule[]) {
        if (!rules.some((known) => isDeepStrictEqual(known, rule))) rules.push(rule);
      }
    }
  }
  return rules;
}

/** ClusterRoles whose rules are not those they aggregate, with the rules they should have. */
export function staleAggregates(all: readonly AnyObject[]): { readonly name: string; readonly rules: PolicyRule[] }[] {
  return all.flatMap((role) => {
    const rules = aggregatedRules(role, all);
    return rules && !isDeepStrictEqual(rules, role['rules'] ?? []) ? [{ name: role.metadata.name, rules }] : [];
  });
}
