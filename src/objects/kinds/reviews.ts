import type { KindDeclaration } from '../kind.ts';
import type { Resource } from '../resource.ts';
import { nameColumn } from '../print/columns.ts';
import { declareKind } from './declare.ts';

const authentication = 'authentication.k8s.io';
const authorization = 'authorization.k8s.io';

function review(group: string, kind: string, namespaced = false): KindDeclaration {
  const resource: Resource = { group, version: 'v1', plural: `${kind.toLowerCase()}s`, kind, namespaced };
  return { ...declareKind({ resource, columns: [nameColumn] }), review: true };
}

const selfSubjectReview = review(authentication, 'SelfSubjectReview');

/** Questions about who somebody is and what may be done: a POST is answered, nothing is stored. */
export const reviewKinds: readonly KindDeclaration[] = [
  review(authentication, 'TokenReview'),
  selfSubjectReview,
  // kubectl 1.27 knows `auth whoami` in this version alone.
  { ...selfSubjectReview, resource: { ...selfSubjectReview.resource, version: 'v1beta1' } },
  review(authorization, 'SubjectAccessReview'),
  review(authorization, 'SelfSubjectAccessReview'),
  review(authorization, 'LocalSubjectAccessReview', true),
  review(authorization, 'SelfSubjectRulesReview'),
];
