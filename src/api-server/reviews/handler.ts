import type { AnyObject } from '../../objects/index.ts';
import type { ApiRequest, ApiResponse } from '../api-request.ts';
import type { TokenAuthenticator } from '../auth/authentication/token.ts';
import type { FindObject } from '../auth/object-lookup.ts';
import { issueToken, tokenRequestResource, type TokenIssuer } from '../auth/service-accounts/token-request.ts';
import { decodeObject, expectedOf } from '../decode.ts';
import type { RequestInfo } from '../request-info.ts';
import { methodNotAllowed } from '../status-errors.ts';
import { parseWriteOptions } from '../write-options.ts';
import { type Authorize, localSubjectAccessReview, selfSubjectAccessReview, subjectAccessReview } from './access-reviews.ts';
import { selfSubjectReview, tokenReview } from './identity-reviews.ts';
import { type RulesFor, selfSubjectRulesReview } from './rules-review.ts';

export interface ReviewParts {
  readonly authorize: Authorize;
  readonly rulesFor: RulesFor;
  readonly tokens: TokenAuthenticator;
  readonly apiAudiences: readonly string[];
  readonly issuer: TokenIssuer;
  readonly find: FindObject;
}

/** Answers what is asked and not stored: reviews, and tokens of ServiceAccounts. */
export interface Reviews {
  /** Whether such a request is answered here. */
  answers(info: RequestInfo): boolean;
  /** @throws StatusError 400, 404, 405, 409, 415, 422. */
  handle(request: ApiRequest): Promise<ApiResponse>;
}

const tokenRequest = {
  apiVersion: 'authentication.k8s.io/v1',
  kind: tokenRequestResource.kind,
  schema: 'k8s.io.api.authentication.v1.TokenRequest',
};

export function createReviews(parts: ReviewParts): Reviews {
  return {
    answers: ({ kind, subresource }) => kind.review === true || (kind.subresources.token === true && subresource === 'token'),
    async handle({ info, query, body, user, warnings }) {
      const { kind, verb, name, namespace, subresource } = info;
      if (verb !== 'create' || (kind.review && (name || (kind.resource.namespaced && !namespace)))) throw methodNotAllowed();
      const { fieldValidation } = parseWriteOptions(query);
      const decoded = await decodeObject(body, subresource === 'token' ? tokenRequest : expectedOf(kind), fieldValidation);
      warnings.push(...decoded.warnings);
      const review = decoded.object;
      const answer = async (): Promise<AnyObject> => {
        if (subresource === 'token') return issueToken(review, { namespace, name }, parts.issuer, parts.find);
        switch (kind.resource.kind) {
          case 'TokenReview':
            return tokenReview(review, parts.tokens, parts.apiAudiences);
          case 'SelfSubjectReview':
            return selfSubjectReview(review, user);
          case 'SubjectAccessReview':
            return subjectAccessReview(review, kind, parts.authorize);
          case 'SelfSubjectAccessReview':
            return selfSubjectAccessReview(review, kind, user, parts.authorize);
          case 'LocalSubjectAccessReview':
            return localSubjectAccessReview(review, kind, namespace, parts.authorize);
          default:
            return selfSubjectRulesReview(review, user, parts.rulesFor);
        }
      };
      return { code: 201, json: JSON.stringify(await answer()) };
    },
  };
}
