import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from 'node:http';

/** A token may be sent as a subprotocol, since browsers can send no other header. It is for the API server alone. */
const tokenPrefix = 'base64url.bearer.authorization.k8s.io.';

/** The WebSocket subprotocols that a client offers, best first. */
export const subprotocolsOf = ({ 'sec-websocket-protocol': text = '' }: IncomingHttpHeaders): string[] =>
  text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '' && !name.startsWith(tokenPrefix));

/** What of a client's headers a kubelet needs to answer an upgrade. Credentials are not among it. */
export function upgradeHeaders({ headers, headersDistinct }: IncomingMessage): OutgoingHttpHeaders {
  const passed: OutgoingHttpHeaders = { connection: 'Upgrade', upgrade: headers.upgrade };
  const versions = headersDistinct['x-stream-protocol-version'];
  if (versions) passed['x-stream-protocol-version'] = versions;
  for (const name of ['sec-websocket-key', 'sec-websocket-version', 'sec-websocket-extensions', 'user-agent'] as const) {
    if (headers[name] !== undefined) passed[name] = headers[name];
  }
  const subprotocols = subprotocolsOf(headers);
  if (subprotocols.length > 0) passed['sec-websocket-protocol'] = subprotocols.join(', ');
  return passed;
}
