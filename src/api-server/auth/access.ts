import { readFileSync } from 'node:fs';
import { joinHostPort } from '../../net/index.ts';
import type { DaemonContext } from '../../runtime/daemon.ts';
import { Gauge } from '../../runtime/metrics.ts';
import { type ApiServerOptions, securityDefaults } from '../options.ts';
import { createReviews, type Reviews } from '../reviews/handler.ts';
import type { WatchCache } from '../watch-cache.ts';
import { firstOf } from './authentication/authenticator.ts';
import { bearerAuthenticator } from './authentication/bearer.ts';
import { certificateAuthenticator } from './authentication/certificate.ts';
import { loopbackAuthenticator } from './authentication/loopback.ts';
import { anyToken, type TokenAuthenticator } from './authentication/token.ts';
import { tokenFileAuthenticator } from './authentication/token-file.ts';
import { alwaysAllow, authorizeInTurn, mastersAuthorizer } from './authorization/authorizer.ts';
import { type Rbac, startRbac } from './authorization/rbac.ts';
import { type AccessChain, createAccessChain } from './chain.ts';
import { createInFlight } from './in-flight.ts';
import { type FindObject, findIn } from './object-lookup.ts';
import { openIdDocuments, type OpenIdDocuments } from './service-accounts/open-id.ts';
import { createServiceAccountTokens } from './service-accounts/service-accounts.ts';

/** Everything about who may do what, as one server has it. */
export interface Access {
  readonly chain: AccessChain;
  readonly rbac: Rbac;
  readonly reviews: Reviews;
  /** Undefined when the issuer is no https URL. */
  readonly openId: OpenIdDocuments | undefined;
  readonly find: FindObject;
  stop(): void;
}

const anything = {
  rules: [
    { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
    { verbs: ['*'], nonResourceURLs: ['*'] },
  ],
  errors: [],
};

/**
 * Wires the access chain as the options want it:
 *
 *     authentication: client certificate, then bearer token (token file, ServiceAccount)
 *     authorization:  system:masters, then [Node], then RBAC
 *
 * @throws Error in plain words when a file cannot be read.
 */
export function startAccess(options: ApiServerOptions, cache: WatchCache, { clock, log, metrics }: DaemonContext): Access {
  const security = { ...securityDefaults, ...options.security };
  const { issuers } = security.serviceAccounts;
  const find = findIn(cache);
  const now = (): number => clock.now();
  const serviceAccounts = createServiceAccountTokens(security.serviceAccounts, options.dataDir, find, now);
  const tokens = anyToken([...staticTokens(security.tokenAuthFile), serviceAccounts.authenticator]);
  const bearer = bearerAuthenticator(tokens, serviceAccounts.apiAudiences);
  const rbac = startRbac(cache);
  const byRoles = security.authorizationMode === 'RBAC';
  const authorize = authorizeInTurn([mastersAuthorizer, byRoles ? rbac : alwaysAllow]);
  const inFlight = createInFlight({ maxRequests: security.maxRequestsInFlight, maxMutatingRequests: security.maxMutatingRequestsInFlight });
  new Gauge({
    name: 'apiserver_current_inflight_requests',
    help: 'Requests under way that are bounded, by kind.',
    labelNames: ['request_kind'],
    registers: [metrics],
    collect() {
      this.set({ request_kind: 'readOnly' }, inFlight.reading);
      this.set({ request_kind: 'mutating' }, inFlight.mutating);
    },
  });
  const chain = createAccessChain({
    // A token is believed on the loopback listener too: what a pod may do can be tried out there.
    authenticate: options.tls ? firstOf([certificateAuthenticator(now), bearer]) : firstOf([bearer, loopbackAuthenticator]),
    authorize,
    inFlight,
    log,
  });
  const reviews = createReviews({
    authorize,
    rulesFor: byRoles ? (user, namespace) => rbac.index.rulesFor(user, namespace) : () => anything,
    tokens,
    apiAudiences: serviceAccounts.apiAudiences,
    issuer: serviceAccounts.issuer,
    find,
  });
  const address = joinHostPort(options.advertiseAddress, options.securePort);
  return { chain, rbac, reviews, openId: openIdDocuments(issuers[0]!, address, serviceAccounts.keys), find, stop: () => rbac.stop() };
}

function staticTokens(file: string | undefined): TokenAuthenticator[] {
  if (file === undefined) return [];
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`--token-auth-file: cannot read ${file}: ${(error as Error).message}`, { cause: error });
  }
  return [tokenFileAuthenticator(text, file)];
}
