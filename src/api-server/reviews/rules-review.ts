import type { AnyObject } from '../../objects/index.ts';
import type { User } from '../access.ts';
import type { PolicyRule } from '../auth/authorization/policy-rule.ts';
import { joinErrors } from '../auth/authorization/rbac-index.ts';
import { badRequest } from '../status-errors.ts';

export type RulesFor = (user: User, namespace: string) => { readonly rules: readonly PolicyRule[]; readonly errors: readonly string[] };

/** What may I do in a namespace? (`kubectl auth can-i --list`) @throws StatusError 400 without a namespace. */
export function selfSubjectRulesReview(review: AnyObject, user: User, rulesFor: RulesFor): AnyObject {
  const namespace: string = review.spec?.namespace ?? '';
  if (namespace === '') throw badRequest('no namespace on request');
  const { rules, errors } = rulesFor(user, namespace);
  return {
    ...review,
    spec: {},
    status: {
      resourceRules: rules
        .filter(({ resources = [] }) => resources.length > 0)
        .map(({ verbs, apiGroups, resources, resourceNames }) => ({
          verbs,
          apiGroups,
          resources,
          ...(resourceNames?.length ? { resourceNames } : {}),
        })),
      nonResourceRules: rules
        .filter(({ nonResourceURLs = [] }) => nonResourceURLs.length > 0)
        .map(({ verbs, nonResourceURLs }) => ({ verbs, nonResourceURLs })),
      incomplete: false,
      ...(errors.length > 0 ? { evaluationError: joinErrors(errors) } : {}),
    },
  };
}
