import type { Attributes } from '../../access.ts';

/** One rule of a role (rbac.authorization.k8s.io/v1 PolicyRule): what may be done to what. */
export interface PolicyRule {
  readonly verbs: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
}

const has = (values: readonly string[] | undefined, value: string): boolean =>
  values !== undefined && (values.includes('*') || values.includes(value));

/** Whether the rule allows the request. A rule without names means all of them; `pods` does not mean `pods/log`, `*` does. */
export function ruleAllows(rule: PolicyRule, attributes: Attributes): boolean {
  if (!has(rule.verbs, attributes.verb)) return false;
  if (!attributes.isResource) return (rule.nonResourceURLs ?? []).some((url) => urlCovers(url, attributes.path));
  const { resourceNames } = rule;
  return (
    has(rule.apiGroups, attributes.group) &&
    resourceMatches(rule.resources, attributes.resource, attributes.subresource) &&
    (!resourceNames || resourceNames.length === 0 || resourceNames.includes(attributes.name))
  );
}

function resourceMatches(resources: readonly string[] | undefined, resource: string, subresource: string): boolean {
  if (has(resources, subresource ? `${resource}/${subresource}` : resource)) return true;
  return subresource !== '' && resources !== undefined && resources.includes(`*/${subresource}`);
}

/** `/healthz/*` covers every path that begins with `/healthz/`; anything else covers itself alone. */
export const urlCovers = (pattern: string, path: string): boolean =>
  pattern === path || (pattern.endsWith('*') && path.startsWith(pattern.replace(/\*+$/, '')));

const fields = [
  ['apiGroups', 'APIGroups'],
  ['resources', 'Resources'],
  ['nonResourceURLs', 'NonResourceURLs'],
  ['resourceNames', 'ResourceNames'],
  ['verbs', 'Verbs'],
] as const;

/** Words as Go prints a list of quoted strings: `["get" "list"]`. */
export const quotedList = (words: readonly string[]): string => `[${words.map((word) => JSON.stringify(word)).join(' ')}]`;

/** `{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}`, as errors show a rule. */
export function describeRule(rule: PolicyRule): string {
  const parts = fields.flatMap(([field, title]) => (rule[field]?.length ? [`${title}:${quotedList(rule[field])}`] : []));
  return `{${parts.join(', ')}}`;
}
