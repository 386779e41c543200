import { joinHostPort } from '../net/index.ts';

// Virtual servers of IPVS as data. Reading and writing their text: ipvs-parse.ts, ipvs-print.ts. Comparing: ipvs-diff.ts.

export type IpvsProtocol = 'tcp' | 'udp' | 'sctp';

/** Scheduling methods of Linux 6.1 (ipvsadm(8)). */
export const ipvsSchedulers = ['rr', 'wrr', 'lc', 'wlc', 'lblc', 'lblcr', 'dh', 'sh', 'sed', 'nq', 'fo', 'ovf', 'mh'] as const;
export type IpvsScheduler = (typeof ipvsSchedulers)[number];

/** How a packet reaches the real server: its destination rewritten (`masq`), unchanged to its MAC (`droute`), or unchanged inside another packet (`tunnel`). */
export type ForwardingMethod = 'masq' | 'droute' | 'tunnel';

/** A service known by address, port and protocol; those known by a firewall mark are not kept. */
export interface VirtualServer {
  /** Canonical. */
  readonly address: string;
  readonly port: number;
  readonly protocol: IpvsProtocol;
  /** A name of {@link ipvsSchedulers}, or of a module of somebody else's. */
  readonly scheduler: string;
  /** Flags of the scheduler, such as `mh-port`, sorted. */
  readonly schedulerFlags: readonly string[];
  /** Seconds that a client keeps its real server after its last connection; undefined without persistence. */
  readonly persistence: number | undefined;
  /** Clients alike under this mask keep one real server together; undefined for single addresses. Dotted in IPv4, a length in IPv6. */
  readonly persistenceMask?: string;
  /** Every datagram is scheduled by itself (UDP). */
  readonly onePacket?: boolean;
  /** By {@link realServerKey}. */
  readonly reals: ReadonlyMap<string, RealServer>;
}

export interface RealServer {
  readonly address: string;
  readonly port: number;
  readonly method: ForwardingMethod;
  /** 0: no new connection goes there. */
  readonly weight: number;
}

/** Virtual servers by {@link virtualServerKey}. */
export type VirtualServers = ReadonlyMap<string, VirtualServer>;

/** `tcp 10.96.0.1:80`. */
export const virtualServerKey = ({ protocol, address, port }: Pick<VirtualServer, 'protocol' | 'address' | 'port'>): string =>
  `${protocol} ${joinHostPort(address, port)}`;

/** `10.244.1.2:8080`. */
export const realServerKey = ({ address, port }: Pick<RealServer, 'address' | 'port'>): string => joinHostPort(address, port);

/** Connections that IPVS knows to each real server: virtual server -> real server -> active and inactive ones together. */
export type ServerConnections = ReadonlyMap<string, ReadonlyMap<string, number>>;
