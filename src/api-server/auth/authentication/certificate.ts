import { createHash } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { authenticatedGroup, type User } from '../../access.ts';
import type { Authenticator } from './authenticator.ts';

interface Known {
  readonly user: User;
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
}

/**
 * X.509 client certificates, verified in the TLS handshake: the common name is the user, the organizations are the groups. A connection that
 * outlives its certificate is no longer believed.
 */
export function certificateAuthenticator(now: () => number): Authenticator {
  const known = new WeakMap<object, Known>();
  return ({ socket }) => {
    const found = known.get(socket) ?? readCertificate(socket as Partial<TLSSocket> & TLSSocket);
    if (!found) return undefined;
    known.set(socket, found);
    return found.notAfter > now() ? found.user : undefined;
  };
}

function readCertificate(socket: Partial<TLSSocket> & TLSSocket): Known | undefined {
  if (!socket.authorized || !socket.getPeerCertificate) return undefined;
  const { subject, raw, valid_to: validTo } = socket.getPeerCertificate();
  const { CN, O } = (subject ?? {}) as { CN?: string | string[]; O?: string | string[] };
  const name = [CN ?? []].flat()[0];
  if (!name) return undefined;
  const hash = createHash('sha256').update(raw).digest('hex');
  const user: User = {
    name,
    groups: [...[O ?? []].flat(), authenticatedGroup],
    extra: { 'authentication.kubernetes.io/credential-id': [`X509SHA256=${hash}`] },
  };
  return { user, notAfter: Date.parse(validTo) };
}
