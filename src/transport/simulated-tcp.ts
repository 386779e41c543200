import type { TcpConnection, TcpEndpoint, TcpHandlers, TcpTransport } from './tcp.ts';

/** As much of a clock as the simulation needs (milliseconds). */
interface Timers {
  setTimer(delay: number, callback: () => void): () => void;
}

/** A network of hosts in memory, driven by a clock: the same transport interface, with faults at will. */
export interface SimulatedNetwork {
  /** The transport of a host that owns these addresses. */
  host(...addresses: string[]): SimulatedHost;
  /** Takes the link of an address down or up. While down, bytes wait (as TCP retransmits) and connection attempts hang. */
  setLink(address: string, up: boolean): void;
}

export interface SimulatedHost extends TcpTransport {
  /** As `kill -9` of the program: its sockets are closed by the kernel, its listeners vanish, it says no goodbye. */
  kill(): void;
  /** As a power cut: nothing is sent any more, peers hear silence. */
  powerOff(): void;
}

type Packet = Uint8Array | 'end' | 'reset';

interface Side {
  readonly connection: TcpConnection;
  deliver(packet: Packet): void;
  /** Neither sends nor hears anything any more. */
  silence(): void;
}

interface Host {
  readonly addresses: readonly string[];
  readonly listeners: Map<number, (connection: TcpConnection) => void>;
  readonly sides: Set<Side>;
}

const systemError = (code: string, text: string): Error => Object.assign(new Error(`${text} ${code}`), { code });

/** An empty network. Every packet takes `latency` milliseconds of the clock. */
export function createSimulatedNetwork(timers: Timers, { latency = 1 }: { latency?: number } = {}): SimulatedNetwork {
  const hosts = new Map<string, Host>();
  const down = new Set<string>();
  const waiting: (() => void)[] = [];
  let nextPort = 32_768;

  /** Runs `arrive` after the latency, or once the links of both ends are up again. Keeps the order of packets. */
  function transmit(from: string, to: string, arrive: () => void): void {
    const hindered = (): boolean => down.has(from) || down.has(to);
    if (hindered()) return void waiting.push(() => transmit(from, to, arrive));
    timers.setTimer(latency, () => (hindered() ? void waiting.push(() => transmit(from, to, arrive)) : arrive()));
  }

  function connect(
    host: Host,
    { address, port, localAddress }: TcpEndpoint & { localAddress?: string },
    signal?: AbortSignal,
  ): Promise<TcpConnection> {
    return new Promise((resolve, reject) => {
      const source = localAddress ?? host.addresses.find((candidate) => candidate.includes(':') === address.includes(':'));
      if (source === undefined) return reject(systemError('ENETUNREACH', 'connect'));
      signal?.addEventListener('abort', () => reject(systemError('ABORT_ERR', 'connect')), { once: true });
      const client: TcpEndpoint = { address: source, port: nextPort++ };
      const server: TcpEndpoint = { address, port };
      transmit(source, address, () => {
        const target = hosts.get(address);
        const accept = target?.listeners.get(port);
        if (!target || !accept) return transmit(address, source, () => reject(systemError('ECONNREFUSED', `connect ${address}:${port}`)));
        const near: Side = makeSide(timers, client, server, (packet) => transmit(source, address, () => far.deliver(packet)));
        const far: Side = makeSide(timers, server, client, (packet) => transmit(address, source, () => near.deliver(packet)));
        host.sides.add(near);
        target.sides.add(far);
        transmit(address, source, () => (signal?.aborted ? near.connection.destroy() : resolve(near.connection)));
        accept(far.connection);
      });
    });
  }

  function vanish(host: Host, goodbye: boolean): void {
    host.listeners.clear();
    for (const side of host.sides) {
      if (goodbye) side.connection.end();
      side.silence();
    }
    host.sides.clear();
  }

  return {
    setLink(address, up) {
      if (!up) return void down.add(address);
      down.delete(address);
      for (const send of waiting.splice(0)) send();
    },
    host(...addresses) {
      const host: Host = { addresses, listeners: new Map(), sides: new Set() };
      return {
        connect: (options, signal) => connect(host, options, signal),
        async listen(endpoint, accept) {
          if (!addresses.includes(endpoint.address)) throw systemError('EADDRNOTAVAIL', `listen ${endpoint.address}:${endpoint.port}`);
          if (hosts.get(endpoint.address)?.listeners.has(endpoint.port))
            throw systemError('EADDRINUSE', `listen ${endpoint.address}:${endpoint.port}`);
          hosts.set(endpoint.address, host);
          host.listeners.set(endpoint.port, accept);
          return { address: endpoint, close: async () => void host.listeners.delete(endpoint.port) };
        },
        kill: () => vanish(host, true),
        powerOff: () => vanish(host, false),
      };
    },
  };
}

/** One end of a connection. `send` carries a packet to the other end. */
function makeSide(timers: Timers, local: TcpEndpoint, remote: TcpEndpoint, send: (packet: Packet) => void): Side {
  let handlers: TcpHandlers | undefined;
  let closed = false;
  let silent = false;
  const early: Packet[] = [];
  const close = (error?: Error): void => {
    if (closed) return;
    closed = true;
    if (!silent) handlers?.closed(error);
  };
  const closeLocally = (packet: 'end' | 'reset'): void => {
    if (closed) return;
    send(packet);
    timers.setTimer(0, () => close());
  };
  const deliver = (packet: Packet): void => {
    if (closed || silent) return;
    if (!handlers) early.push(packet);
    else if (packet === 'reset') close(systemError('ECONNRESET', 'read'));
    else if (packet === 'end') {
      send('end');
      close();
    } else handlers.data(packet);
  };
  return {
    deliver,
    silence: () => {
      silent = true;
      closed = true;
    },
    connection: {
      local,
      remote,
      attach(given) {
        handlers = given;
        for (const packet of early.splice(0)) deliver(packet);
      },
      write(bytes) {
        if (!closed) send(bytes.slice());
        return true;
      },
      end: () => closeLocally('end'),
      destroy: () => closeLocally('reset'),
    },
  };
}
