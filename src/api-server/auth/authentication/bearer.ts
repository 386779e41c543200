import type { IncomingHttpHeaders } from 'node:http';
import { type Authenticator, InvalidCredentials } from './authenticator.ts';
import type { TokenAuthenticator } from './token.ts';

const protocolPrefix = 'base64url.bearer.authorization.k8s.io.';

/**
 * Bearer tokens: `Authorization: Bearer TOKEN`, and for WebSockets of browsers, which cannot set headers, the subprotocol
 * `base64url.bearer.authorization.k8s.io.TOKEN-IN-BASE64URL` beside the protocol that is really meant.
 */
export function bearerAuthenticator(tokens: TokenAuthenticator, audiences: readonly string[]): Authenticator {
  const identify = async (token: string) => {
    const identity = await tokens.authenticate(token, audiences);
    if (!identity) throw new InvalidCredentials('nobody knows the bearer token');
    return identity.user;
  };
  return ({ headers }) => {
    const token = bearerToken(headers.authorization);
    if (token !== undefined) return identify(token);
    const protocolToken = takeProtocolToken(headers);
    return protocolToken === undefined ? undefined : identify(protocolToken);
  };
}

/** The scheme's name may be written in any case (RFC 9110 section 11.1). Other schemes are not read. */
function bearerToken(authorization: string | undefined): string | undefined {
  const match = /^\s*bearer\s+(\S+)\s*$/i.exec(authorization ?? '');
  return match?.[1];
}

/** Takes the token's protocol out of the header, so that it is never chosen and echoed as the protocol of the connection. */
function takeProtocolToken(headers: IncomingHttpHeaders): string | undefined {
  const offered = headers['sec-websocket-protocol'];
  if (headers.upgrade?.toLowerCase() !== 'websocket' || !offered?.includes(protocolPrefix)) return undefined;
  const protocols = offered.split(',').map((protocol) => protocol.trim());
  const bearing = protocols.filter((protocol) => protocol.startsWith(protocolPrefix));
  const others = protocols.filter((protocol) => !protocol.startsWith(protocolPrefix));
  if (bearing.length !== 1) throw new InvalidCredentials('multiple base64.bearer.authorization tokens specified');
  if (others.length === 0) throw new InvalidCredentials('missing additional subprotocol');
  const encoded = bearing[0]!.slice(protocolPrefix.length);
  const token = /^[\w-]+$/.test(encoded) ? Buffer.from(encoded, 'base64url').toString('utf8') : '';
  if (token === '') throw new InvalidCredentials('the token in Sec-WebSocket-Protocol is not base64url');
  headers['sec-websocket-protocol'] = others.join(', ');
  return token;
}
