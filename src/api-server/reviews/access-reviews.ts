import type { AnyObject, KindDeclaration, StatusCause } from '../../objects/index.ts';
import type { Attributes, Decision, User } from '../access.ts';
import { badRequest, invalid } from '../status-errors.ts';

export type Authorize = (user: User, attributes: Attributes) => Decision;

interface ResourceAttributesSpec {
  readonly namespace?: string;
  readonly verb?: string;
  readonly group?: string;
  readonly version?: string;
  readonly resource?: string;
  readonly subresource?: string;
  readonly name?: string;
}

interface AccessReviewSpec {
  readonly resourceAttributes?: ResourceAttributesSpec;
  readonly nonResourceAttributes?: { readonly path?: string; readonly verb?: string };
  readonly user?: string;
  readonly groups?: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
  readonly uid?: string;
}

/** May a user do that? (authorization.k8s.io SubjectAccessReview) @throws StatusError 422 */
export function subjectAccessReview(review: AnyObject, kind: KindDeclaration, authorize: Authorize): AnyObject {
  const spec = (review.spec ?? {}) as AccessReviewSpec;
  refuse(kind, [...checkAttributes(spec), ...checkSubject(spec), ...checkMetadata(review)]);
  return answered(review, authorize(userOf(spec), attributesOf(spec)));
}

/** May I do that? @throws StatusError 422 */
export function selfSubjectAccessReview(review: AnyObject, kind: KindDeclaration, user: User, authorize: Authorize): AnyObject {
  const spec = (review.spec ?? {}) as AccessReviewSpec;
  refuse(kind, [...checkAttributes(spec), ...checkMetadata(review)]);
  return answered(review, authorize(user, attributesOf(spec)));
}

/** As {@link subjectAccessReview}, for one namespace, so that its administrator may ask too. @throws StatusError 400, 422 */
export function localSubjectAccessReview(review: AnyObject, kind: KindDeclaration, namespace: string, authorize: Authorize): AnyObject {
  if (!namespace) throw badRequest('namespace is required on this type: ');
  review.metadata.namespace ||= namespace;
  const spec = (review.spec ?? {}) as AccessReviewSpec;
  const causes = [...checkAttributes(spec), ...checkSubject(spec), ...checkMetadata(review, ['namespace'])];
  const inside = spec.resourceAttributes?.namespace ?? '';
  if (spec.resourceAttributes && inside !== review.metadata.namespace) {
    causes.push(cause('spec.resourceAttributes.namespace', inside, 'must match metadata.namespace'));
  }
  if (spec.nonResourceAttributes) {
    causes.push(cause('spec.nonResourceAttributes', spec.nonResourceAttributes, 'disallowed on this kind of request'));
  }
  refuse(kind, causes);
  if (review.metadata.namespace !== namespace) {
    throw badRequest(`spec.resourceAttributes.namespace must match namespace: ${namespace}`);
  }
  return answered(review, authorize(userOf(spec), attributesOf(spec)));
}

const userOf = ({ user = '', uid, groups = [], extra }: AccessReviewSpec): User => ({
  name: user,
  ...(uid ? { uid } : {}),
  groups,
  ...(extra ? { extra } : {}),
});

function attributesOf({ resourceAttributes, nonResourceAttributes }: AccessReviewSpec): Attributes {
  if (!resourceAttributes) {
    const { path = '', verb = '' } = nonResourceAttributes ?? {};
    return { isResource: false, verb, path };
  }
  const { namespace = '', verb = '', group = '', version = '', resource = '', subresource = '', name = '' } = resourceAttributes;
  return { isResource: true, verb, group, version, resource, subresource, namespace, name };
}

/** The reference gives no reason for what administrators may do. */
function answered(review: AnyObject, decision: Decision): AnyObject {
  const reason = decision.allowed && decision.reason.startsWith('RBAC') ? decision.reason : decision.told;
  return { ...review, status: { allowed: decision.allowed, ...(reason ? { reason } : {}) } };
}

const cause = (field: string, value: unknown, text: string): StatusCause => ({
  reason: 'FieldValueInvalid',
  message: `Invalid value: ${JSON.stringify(value) ?? 'null'}: ${text}`,
  field,
});

function checkAttributes({ resourceAttributes, nonResourceAttributes }: AccessReviewSpec): StatusCause[] {
  if (resourceAttributes && nonResourceAttributes) {
    return [cause('spec.nonResourceAttributes', nonResourceAttributes, 'cannot be specified in combination with resourceAttributes')];
  }
  if (resourceAttributes || nonResourceAttributes) return [];
  return [cause('spec.resourceAttributes', null, 'exactly one of nonResourceAttributes or resourceAttributes must be specified')];
}

const checkSubject = ({ user, groups = [] }: AccessReviewSpec): StatusCause[] =>
  user || groups.length > 0 ? [] : [cause('spec.user', user ?? '', 'at least one of user or group must be specified')];

function checkMetadata({ metadata }: AnyObject, allowed: readonly string[] = []): StatusCause[] {
  const fields = Object.entries(metadata).filter(
    ([field, value]) => field !== 'managedFields' && !allowed.includes(field) && value !== undefined && value !== null && value !== '',
  );
  const text = allowed.length > 0 ? `must be empty except for ${allowed.join(', ')}` : 'must be empty';
  return fields.length > 0 ? [cause('metadata', metadata, text)] : [];
}

function refuse(kind: KindDeclaration, causes: StatusCause[]): void {
  if (causes.length > 0) throw invalid(kind, '', causes);
}
