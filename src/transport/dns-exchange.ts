import { exchangeMessage } from './dns-tcp.ts';
import type { TcpEndpoint, TcpTransport } from './tcp.ts';
import type { UdpTransport } from './udp.ts';

/** One request, one answer. Answers that `accept` refuses are ignored over UDP. Rejects when the signal aborts. */
export type DnsExchange = (
  server: TcpEndpoint,
  transport: 'udp' | 'tcp',
  request: Uint8Array,
  accept: (answer: Uint8Array) => boolean,
  signal: AbortSignal,
) => Promise<Uint8Array>;

/** Exchanges over the given transports, each over a socket of its own: so the source port is random (RFC 5452 section 9.2). */
export function createExchange(udp: UdpTransport, tcp: TcpTransport): DnsExchange {
  return async (server, transport, request, accept, signal) => {
    if (transport === 'udp') return overUdp(udp, server, request, accept, signal);
    const answer = await exchangeMessage(tcp, server, request, signal);
    if (!accept(answer)) throw new Error('an answer to another question');
    return answer;
  };
}

async function overUdp(
  udp: UdpTransport,
  server: TcpEndpoint,
  request: Uint8Array,
  accept: (answer: Uint8Array) => boolean,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const socket = await udp.bind({ address: server.address.includes(':') ? '::' : '0.0.0.0', port: 0 }, (bytes, from) => {
    if (from.address === server.address && from.port === server.port && accept(bytes)) resolve(bytes);
  });
  try {
    const abort = (): void => reject(new Error('no answer in time'));
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    socket.send(request, server);
    return await promise;
  } finally {
    await socket.close();
  }
}
