import { type PolicyRule, urlCovers } from './policy-rule.ts';

/** The parts of `wanted` that no rule of `held` covers, each of one verb, resource and name; empty when all are covered. */
export function uncoveredRules(held: readonly PolicyRule[], wanted: readonly PolicyRule[]): PolicyRule[] {
  return wanted.flatMap(breakDown).filter((part) => !held.some((rule) => covers(rule, part)));
}

function breakDown({ verbs, apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] }: PolicyRule): PolicyRule[] {
  const parts: PolicyRule[] = [];
  for (const group of apiGroups) {
    for (const resource of resources) {
      for (const verb of verbs) {
        const part = { apiGroups: [group], resources: [resource], verbs: [verb] };
        if (resourceNames.length === 0) parts.push(part);
        for (const name of resourceNames) parts.push({ ...part, resourceNames: [name] });
      }
    }
  }
  for (const url of nonResourceURLs) for (const verb of verbs) parts.push({ nonResourceURLs: [url], verbs: [verb] });
  return parts;
}

const holds = (values: readonly string[] | undefined, wanted: readonly string[] | undefined): boolean =>
  (wanted ?? []).every((value) => values !== undefined && (values.includes('*') || values.includes(value)));

/** Whether one rule covers a part made by {@link breakDown}. */
function covers(rule: PolicyRule, part: PolicyRule): boolean {
  const names = rule.resourceNames ?? [];
  // Who may touch some objects by name does not hold the right to all of them.
  const namesCovered =
    names.length === 0 || ((part.resourceNames ?? []).length > 0 && part.resourceNames!.every((name) => names.includes(name)));
  return (
    holds(rule.verbs, part.verbs) &&
    holds(rule.apiGroups, part.apiGroups) &&
    resourcesCovered(rule.resources ?? [], part.resources ?? []) &&
    namesCovered &&
    (part.nonResourceURLs ?? []).every((url) => (rule.nonResourceURLs ?? []).some((pattern) => urlCovers(pattern, url)))
  );
}

function resourcesCovered(held: readonly string[], wanted: readonly string[]): boolean {
  return wanted.every((resource) => {
    if (held.includes('*') || held.includes(resource)) return true;
    const slash = resource.indexOf('/');
    return slash >= 0 && held.includes(`*/${resource.slice(slash + 1)}`);
  });
}

/** Joins parts of one resource and name that differ in their verbs alone: what an error shows stays short. */
export function compactRules(parts: readonly PolicyRule[]): PolicyRule[] {
  const joined = new Map<string, PolicyRule>();
  for (const part of parts) {
    const key = JSON.stringify([
      part.apiGroups,
      part.resources,
      part.resourceNames,
      part.nonResourceURLs && [part.nonResourceURLs, part.verbs],
    ]);
    const before = joined.get(key);
    joined.set(key, before ? { ...before, verbs: [...before.verbs, ...part.verbs] } : part);
  }
  return [...joined.values()];
}
