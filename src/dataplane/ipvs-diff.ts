import { type RealServer, realServerKey, type VirtualServer, virtualServerKey, type VirtualServers } from './ipvs.ts';
import { differingEntries } from './parted-map.ts';

type ServerName = Pick<VirtualServer, 'address' | 'port' | 'protocol'>;

/** One line of the input of `ipvsadm -R`. */
export type IpvsOperation =
  | { readonly op: 'add-server'; readonly server: VirtualServer }
  | { readonly op: 'edit-server'; readonly server: VirtualServer }
  | { readonly op: 'delete-server'; readonly server: ServerName }
  | { readonly op: 'add-real' | 'edit-real'; readonly server: ServerName; readonly real: RealServer }
  | { readonly op: 'delete-real'; readonly server: ServerName; readonly real: Pick<RealServer, 'address' | 'port'> };

/**
 * A real server that takes no new connections and waits for the last one to end. IPVS itself knows these by weight 0; a wanted one never has that.
 */
export interface DrainingServer {
  readonly server: ServerName;
  readonly real: RealServer;
  /** Connections left; undefined while nobody has counted them. */
  readonly connections?: number;
  /** It has waited for so long that it goes with its connections. */
  readonly expired?: boolean;
}

/** By {@link drainingKey}. */
export type DrainingServers = ReadonlyMap<string, DrainingServer>;

const drainingKey = (server: ServerName, real: Pick<RealServer, 'address' | 'port'>): string =>
  `${virtualServerKey(server)} ${realServerKey(real)}`;

/** What the kernel holds: virtual servers with the real servers that serve, and apart from them those that drain. */
export interface BalancedServers {
  readonly servers: VirtualServers;
  readonly draining: DrainingServers;
}

/** Takes real servers of weight 0 out into their own map. */
export function splitDraining(servers: VirtualServers, drained: (draining: DrainingServer) => DrainingServer): BalancedServers {
  const draining = new Map<string, DrainingServer>();
  const serving = new Map<string, VirtualServer>();
  for (const [key, server] of servers) {
    const idle = [...server.reals.values()].filter(({ weight }) => weight === 0);
    for (const real of idle) draining.set(drainingKey(server, real), drained({ server, real }));
    serving.set(
      key,
      idle.length === 0 ? server : { ...server, reals: new Map([...server.reals].filter(([, { weight }]) => weight !== 0)) },
    );
  }
  return { servers: serving, draining };
}

/**
 * The operations that make `desired` of `actual`, none when they are alike. A real server that is no longer wanted gets weight 0 and drains,
 * but for UDP, which has no end to wait for; it goes once it has no connections or has expired. Nothing of virtual servers that `owns` does not
 * claim is touched.
 */
export function diffIpvs(actual: BalancedServers, desired: VirtualServers, owns: (server: VirtualServer) => boolean): IpvsOperation[] {
  const operations: IpvsOperation[] = [];
  const { draining } = actual;
  const [before, after] = actual.servers === desired ? [noServers, noServers] : differingEntries(actual.servers, desired);
  for (const [key, server] of before) {
    if (!after.has(key) && owns(server)) operations.push({ op: 'delete-server', server: nameOf(server) });
  }
  for (const [key, server] of after) {
    const known = before.get(key);
    if (known === server) continue;
    const name = nameOf(server);
    if (!known) operations.push({ op: 'add-server', server });
    else if (kindOf(known) !== kindOf(server)) operations.push({ op: 'edit-server', server });
    const reals = known?.reals ?? noReals;
    if (reals === server.reals) continue;
    for (const [realKey, real] of server.reals) {
      const had = reals.get(realKey);
      if (had && sameReal(had, real)) continue;
      operations.push({ op: had || draining.has(drainingKey(server, real)) ? 'edit-real' : 'add-real', server: name, real });
    }
    for (const [realKey, real] of reals) {
      if (server.reals.has(realKey)) continue;
      if (server.protocol === 'udp') operations.push({ op: 'delete-real', server: name, real });
      else operations.push({ op: 'edit-real', server: name, real: { ...real, weight: 0 } });
    }
  }
  for (const { server, real, connections, expired } of draining.values()) {
    if (server.protocol !== 'udp' && connections !== 0 && !expired) continue;
    const wanted = desired.get(virtualServerKey(server));
    if (wanted && !wanted.reals.has(realServerKey(real))) operations.push({ op: 'delete-real', server: nameOf(server), real });
  }
  return operations;
}

const noServers: VirtualServers = new Map();
const noReals: VirtualServer['reals'] = new Map();

const nameOf = ({ address, port, protocol }: ServerName): ServerName => ({ address, port, protocol });
const kindOf = (server: VirtualServer): string =>
  `${server.scheduler} ${server.schedulerFlags.join()} ${server.persistence} ${server.persistenceMask} ${server.onePacket === true}`;
const sameReal = (a: RealServer, b: RealServer): boolean => a === b || (a.weight === b.weight && a.method === b.method);

/** Which real servers drain after the operations. */
export function drainingAfter(before: DrainingServers, operations: readonly IpvsOperation[]): DrainingServers {
  const after = new Map(before);
  for (const operation of operations) {
    const { server } = operation;
    if (operation.op === 'delete-server') {
      for (const [key, each] of before) if (virtualServerKey(each.server) === virtualServerKey(server)) after.delete(key);
    } else if ('real' in operation) {
      const key = drainingKey(server, operation.real);
      if (operation.op === 'edit-real' && operation.real.weight === 0) after.set(key, { server, real: operation.real });
      else after.delete(key);
    }
  }
  return after;
}
