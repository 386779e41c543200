import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';

export interface UdpEndpoint {
  /** IP address in canonical text form. */
  readonly address: string;
  readonly port: number;
}

export interface UdpSocket {
  readonly address: UdpEndpoint;
  /** Sends one datagram, best effort as UDP is: what the kernel refuses is lost. The bytes must not change afterwards. */
  send(bytes: Uint8Array, to: UdpEndpoint): void;
  /** Ends the socket; nothing is received after it. */
  close(): Promise<void>;
}

/** UDP as the daemons use it. */
export interface UdpTransport {
  /**
   * Binds a socket; port 0 takes a free one, chosen at random by the kernel. `receive` gets each datagram, its bytes its own to keep.
   * Rejects with the system's error, such as EADDRINUSE or EADDRNOTAVAIL.
   */
  bind(endpoint: UdpEndpoint, receive: (bytes: Buffer, from: UdpEndpoint) => void): Promise<UdpSocket>;
}

/** Room for a burst while one long turn of the event loop runs; the kernel caps it at net.core.rmem_max. */
const receiveBuffer = 4 * 1024 * 1024;

/** UDP of the kernel, in the network namespace of this process. */
export const systemUdp: UdpTransport = {
  bind({ address, port }, receive) {
    return new Promise((resolve, reject) => {
      const socket = createSocket({ type: isIPv6(address) ? 'udp6' : 'udp4', ipv6Only: isIPv6(address), recvBufferSize: receiveBuffer });
      let closed = false;
      socket.once('error', reject);
      socket.bind({ address, port, exclusive: true }, () => {
        socket.removeListener('error', reject);
        // ICMP errors for what we sent come back here; the peer's silence tells as much.
        socket.on('error', () => undefined);
        socket.on('message', (bytes, from) => receive(bytes, { address: from.address, port: from.port }));
        resolve({
          address: { address, port: socket.address().port },
          send(bytes, to) {
            if (!closed && to.port !== 0) socket.send(bytes, to.port, to.address, () => undefined);
          },
          close: () =>
            new Promise((done) => {
              if (closed) return done();
              closed = true;
              socket.close(() => done());
            }),
        });
      });
    });
  },
};
