import type { IncomingHttpHeaders } from 'node:http';
import { anonymousName, authenticatedGroup, type ResourceAttributes, unauthenticatedGroup, type User } from '../access.ts';
import { badRequest } from '../status-errors.ts';
import { serviceAccountGroups, splitServiceAccountName } from './service-account-names.ts';

export interface Impersonation {
  /** Who the request is to be treated as. */
  readonly user: User;
  /** Each must be allowed to the one who really asks. */
  readonly needed: readonly ResourceAttributes[];
}

const extraPrefix = 'impersonate-extra-';

/**
 * Reads the headers Impersonate-User, -Group, -Uid and -Extra-KEY (`kubectl --as`); undefined when there are none.
 * `headers` as {@link IncomingHttpHeaders}, and `all` each header's values apart (IncomingMessage.headersDistinct).
 * @throws StatusError 400 for groups, uid or extra without a user.
 */
export function readImpersonation(
  headers: IncomingHttpHeaders,
  all: Readonly<Record<string, readonly string[] | undefined>>,
): Impersonation | undefined {
  let asked = false;
  for (const name in headers) {
    if (name.startsWith('impersonate-')) asked = true;
  }
  if (!asked) return undefined;
  const name = all['impersonate-user']?.[0] ?? '';
  const groups = all['impersonate-group'] ?? [];
  const uid = all['impersonate-uid']?.[0] ?? '';
  const extra = readExtra(all);
  if (!name) {
    if (groups.length === 0 && !uid && Object.keys(extra).length === 0) return undefined;
    throw badRequest('requested to impersonate groups, a uid or extra fields without impersonating a user');
  }
  const account = splitServiceAccountName(name);
  const needed = [
    account ? impersonate('', 'serviceaccounts', account.name, '', account.namespace) : impersonate('', 'users', name),
    ...groups.map((group) => impersonate('', 'groups', group)),
    ...Object.entries(extra).flatMap(([key, values]) =>
      values.map((value) => impersonate('authentication.k8s.io', 'userextras', value, key)),
    ),
    ...(uid ? [impersonate('authentication.k8s.io', 'uids', uid)] : []),
  ];
  const own = groups.length > 0 || !account ? groups : serviceAccountGroups(account.namespace);
  const user = { name, ...(uid ? { uid } : {}), groups: withStandingGroup(name, own), extra };
  return { user, needed };
}

/** Extra keys are lower-case and may be percent-encoded. */
function readExtra(all: Readonly<Record<string, readonly string[] | undefined>>): Record<string, readonly string[]> {
  const entries = Object.entries(all).flatMap(([header, values]) =>
    header.startsWith(extraPrefix) && values ? [[decode(header.slice(extraPrefix.length)), values] as const] : [],
  );
  return Object.fromEntries(entries);
}

function decode(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}

const impersonate = (group: string, resource: string, name: string, subresource = '', namespace = ''): ResourceAttributes => ({
  isResource: true,
  verb: 'impersonate',
  group,
  version: 'v1',
  resource,
  subresource,
  namespace,
  name,
});

/** Everybody is either authenticated or not, also when the groups were given without saying which. */
function withStandingGroup(name: string, groups: readonly string[]): readonly string[] {
  if (name === anonymousName) return groups.includes(unauthenticatedGroup) ? groups : [...groups, unauthenticatedGroup];
  return groups.includes(authenticatedGroup) || groups.includes(unauthenticatedGroup) ? groups : [...groups, authenticatedGroup];
}
