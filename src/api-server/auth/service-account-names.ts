const prefix = 'system:serviceaccount:';

/** The user name of a ServiceAccount: `system:serviceaccount:NAMESPACE:NAME`. */
export const serviceAccountUserName = (namespace: string, name: string): string => `${prefix}${namespace}:${name}`;

/** Groups that every ServiceAccount of a namespace is in. */
export const serviceAccountGroups = (namespace: string): readonly string[] => [
  'system:serviceaccounts',
  `system:serviceaccounts:${namespace}`,
];

/** The ServiceAccount of a user name; undefined when it is no ServiceAccount's. */
export function splitServiceAccountName(user: string): { readonly namespace: string; readonly name: string } | undefined {
  if (!user.startsWith(prefix)) return undefined;
  const match = /^([a-z0-9](?:[a-z0-9-]*[a-z0-9])?):([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)$/.exec(user.slice(prefix.length));
  return match ? { namespace: match[1]!, name: match[2]! } : undefined;
}
