import type { UdpEndpoint, UdpSocket, UdpTransport } from './udp.ts';

/** UDP between hosts in memory: datagrams arrive in a later microtask, or not at all. */
export interface SimulatedUdp {
  /** The transport of a host that owns these addresses. */
  host(...addresses: string[]): UdpTransport;
  /** Called for every datagram; true loses it. Replaces the rule before. */
  loseIf(rule: (from: UdpEndpoint, to: UdpEndpoint, bytes: Uint8Array) => boolean): void;
  /** Every datagram sent so far, the lost ones too. */
  readonly sent: readonly { readonly from: UdpEndpoint; readonly to: UdpEndpoint; readonly bytes: Uint8Array }[];
}

const keyOf = ({ address, port }: UdpEndpoint): string => `${address}|${port}`;
const isWildcard = (address: string): boolean => address === '0.0.0.0' || address === '::';

/** An empty network. As the kernel does, it refuses to bind an address in use (EADDRINUSE) or of another host (EADDRNOTAVAIL). */
export function createSimulatedUdp(): SimulatedUdp {
  const sockets = new Map<string, (bytes: Buffer, from: UdpEndpoint) => void>();
  const sent: { from: UdpEndpoint; to: UdpEndpoint; bytes: Uint8Array }[] = [];
  let lose: (from: UdpEndpoint, to: UdpEndpoint, bytes: Uint8Array) => boolean = () => false;
  let nextPort = 32_768;
  return {
    sent,
    loseIf(rule) {
      lose = rule;
    },
    host: (...addresses) => ({
      bind({ address, port }, receive): Promise<UdpSocket> {
        const owned = isWildcard(address) ? addresses.filter((own) => own.includes(':') === address.includes(':')) : [address];
        const bound = port === 0 ? nextPort++ : port;
        const keys = owned.map((own) => keyOf({ address: own, port: bound }));
        const refusal =
          owned.some((own) => !addresses.includes(own)) || owned.length === 0
            ? 'EADDRNOTAVAIL'
            : keys.some((key) => sockets.has(key))
              ? 'EADDRINUSE'
              : undefined;
        if (refusal) return Promise.reject(Object.assign(new Error(`bind ${refusal} ${address}:${bound}`), { code: refusal }));
        for (const key of keys) sockets.set(key, receive);
        return Promise.resolve({
          address: { address, port: bound },
          send(bytes, to) {
            const from = { address: owned[0]!, port: bound };
            sent.push({ from, to, bytes });
            if (!lose(from, to, bytes)) queueMicrotask(() => sockets.get(keyOf(to))?.(Buffer.from(bytes), from));
          },
          close() {
            for (const key of keys) sockets.delete(key);
            return Promise.resolve();
          },
        });
      },
    }),
  };
}
