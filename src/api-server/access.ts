import type { TLSSocket } from 'node:tls';
import type { Socket } from 'node:net';
import type { RequestInfo } from './request-info.ts';

/** Who asks. */
export interface User {
  readonly name: string;
  readonly groups: readonly string[];
}

/** Turns a connection into a user; undefined when it cannot tell who that is. */
export type Authenticator = (socket: Socket) => User | undefined;

export interface Decision {
  readonly allowed: boolean;
  readonly reason: string;
}

/** What is asked for: a resource, or a path of the server itself. */
export type Attributes = RequestInfo | { readonly verb: string; readonly path: string };

export type Authorizer = (user: User, attributes: Attributes) => Decision;

/** Paths that tell nothing but whether the server works and which it is. */
export const publicPaths: ReadonlySet<string> = new Set(['/healthz', '/livez', '/readyz', '/version', '/version/']);

/** The API server itself, when it writes objects of its own. */
export const apiServerUser: User = { name: 'system:apiserver', groups: ['system:masters'] };

const known = new WeakMap<Socket, User>();

/** X.509 client certificates: the common name is the user, the organizations are the groups. */
export const certificateAuthenticator: Authenticator = (socket) => {
  const cached = known.get(socket);
  if (cached) return cached;
  const { authorized, getPeerCertificate } = socket as Partial<TLSSocket>;
  if (!authorized || !getPeerCertificate) return undefined;
  const { subject } = (socket as TLSSocket).getPeerCertificate() as { subject?: { CN?: string | string[]; O?: string | string[] } };
  const name = [subject?.CN ?? []].flat()[0];
  if (!name) return undefined;
  const user = { name, groups: [...[subject?.O ?? []].flat(), 'system:authenticated'] };
  known.set(socket, user);
  return user;
};

/** Whoever reaches the loopback listener without TLS is the administrator: it exists only when asked for. */
export const loopbackAuthenticator: Authenticator = () => ({
  name: 'system:unsecured',
  groups: ['system:masters', 'system:authenticated'],
});

/** Any authenticated user may do anything. RBAC and the node authorizer take this place. */
export const allowAuthenticated: Authorizer = ({ groups }) =>
  groups.includes('system:authenticated') ? { allowed: true, reason: '' } : { allowed: false, reason: 'not authenticated' };
