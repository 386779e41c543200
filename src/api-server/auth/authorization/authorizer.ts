import type { Attributes, Decision, User } from '../../access.ts';
import { authenticatedGroup, mastersGroup } from '../../access.ts';

/** Allows, or undefined for no opinion: what nobody allows is denied. */
export interface Authorizer {
  readonly name: string;
  authorize(user: User, attributes: Attributes): Decision | undefined;
}

const masters: Decision = { allowed: true, reason: 'member of system:masters', told: '' };

/** Members of system:masters may do anything, whatever roles there are, so that nobody can lock the administrator out. */
export const mastersAuthorizer: Authorizer = {
  name: 'AlwaysAllowMasters',
  authorize: (user) => (user.groups.includes(mastersGroup) ? masters : undefined),
};

/** Any authenticated user may do anything: for trying things out. */
export const alwaysAllow: Authorizer = {
  name: 'AlwaysAllow',
  authorize: ({ groups }) =>
    groups.includes(authenticatedGroup) ? { allowed: true, reason: 'authorization mode AlwaysAllow', told: '' } : undefined,
};

/**
 * The authorizers in turn: the first that allows decides. When none does, the reasons of those that had one are joined.
 *
 *     masters -> [Node: the place of the node authorizer, which lets a kubelet read what its own pods need] -> RBAC
 */
export function authorizeInTurn(authorizers: readonly Authorizer[]): (user: User, attributes: Attributes) => Decision {
  return (user, attributes) => {
    const denials: Decision[] = [];
    for (const authorizer of authorizers) {
      const decision = authorizer.authorize(user, attributes);
      if (decision?.allowed) return decision;
      if (decision) denials.push(decision);
    }
    const told = denials.flatMap((denial) => denial.told || []).join(', ');
    return { allowed: false, reason: denials.map(({ reason }) => reason).join('; ') || 'nothing allows it', told };
  };
}
