import { authenticatedGroup, mastersGroup, type User } from '../../access.ts';
import type { Authenticator } from './authenticator.ts';

const unsecured: User = { name: 'system:unsecured', groups: [mastersGroup, authenticatedGroup] };

/** Whoever reaches the loopback listener without TLS is the administrator: it exists only when asked for. */
export const loopbackAuthenticator: Authenticator = () => unsecured;
