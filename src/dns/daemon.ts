import { randomBytes, randomInt } from 'node:crypto';
import { type Family, joinHostPort } from '../net/index.ts';
import { type KubeObject, type Resource, resources } from '../objects/client.ts';
import type { ClusterCache } from '../kube/cluster-cache.ts';
import type { Informer } from '../kube/informer.ts';
import type { DaemonContext, NodeDaemon } from '../runtime/daemon.ts';
import { startSyncLoop } from '../runtime/sync-loop.ts';
import { createExchange } from '../transport/dns-exchange.ts';
import { listenForMessages, type MessageListener } from '../transport/dns-tcp.ts';
import { systemTcp, type TcpTransport } from '../transport/tcp.ts';
import { systemUdp, type UdpSocket, type UdpTransport } from '../transport/udp.ts';
import { countZone, createZoneCompiler } from './compile.ts';
import type { DnsInput } from './input.ts';
import { type DnsOptions, dnsOptions, parseUpstream, type Upstream } from './options.ts';
import type { DnsReport } from './report.ts';
import { createTally } from './metrics.ts';
import { createRequestHandler, type RequestHandler } from './server.ts';
import { createForwarder, type Exchange } from './upstream.ts';
import { nameFromText, nameKey } from './wire/index.ts';
import type { Zone } from './zone.ts';

export interface DnsDependencies {
  readonly cluster: ClusterCache;
  /** Default: the kernel's. */
  readonly udp?: UdpTransport;
  readonly tcp?: TcpTransport;
}

/** Queries are small; padding and cookies included, this is ample. */
const maxTcpRequest = 4_096;
const maxTcpPending = 128;

/**
 * Starts the DNS server: resolves once it listens, and answers SERVFAIL until the caches have synced.
 * @throws DnsError for a bad option; the system's error when an address cannot be bound, with nothing left listening.
 */
export async function startDns(given: Partial<DnsOptions>, deps: DnsDependencies, context: DaemonContext): Promise<NodeDaemon<DnsReport>> {
  const options = dnsOptions(given);
  const { udp = systemUdp, tcp = systemTcp, cluster } = deps;
  const { clock } = context;
  const log = context.log.child({ component: 'dns' });
  const compile = createZoneCompiler(options);
  const listening: Sockets[] = [];
  let zone: Zone | undefined;
  let failure: string | undefined;
  let serial = 0;

  const upstreams = options.forward.map(parseUpstream);
  const exchange = createExchange(udp, tcp);
  const forwarder = upstreams.length > 0 ? createForwarder({ upstreams, exchange, clock, randomInteger: randomInt, options }) : undefined;
  const probes = new Map<string, Upstream>();
  const tally = createTally(context.metrics, `dns://:${options.port}`, `${options.clusterDomain}.`, {
    pending: () => forwarder?.pending ?? 0,
    serial: () => zone?.serial ?? 0,
  });
  const handle = createRequestHandler({
    options,
    zone: () => zone,
    forwarder,
    tally,
    clock,
    log,
    isOwnProbe(name) {
      const upstream = probes.size > 0 ? probes.get(nameKey(name)) : undefined;
      if (!upstream) return false;
      forwarder?.disable(upstream);
      log.error(
        { upstream: joinHostPort(upstream.address, upstream.port) },
        'this upstream sends our own requests back to us: not using it',
      );
      return true;
    },
  });

  const watched: Resource[] = [
    resources.services,
    resources.endpointSlices,
    resources.namespaces,
    ...(options.pods === 'verified' ? [resources.pods] : []),
  ].map((resource) => resource as unknown as Resource);
  const informers = watched.map((resource) => cluster.informer(resource));
  const isSynced = (): boolean => informers.every((informer) => informer.synced);
  const valuesOf = <T extends KubeObject>(resource: Resource<T>): Iterable<T> => (cluster.informer(resource) as Informer<T>).store.values();

  try {
    for (const address of options.listenAddresses) listening.push(await listenOn(address, options, udp, tcp, clock, handle));
  } catch (error) {
    await closeAll(listening);
    throw explainBind(error as NodeJS.ErrnoException, options);
  }

  const serverAddresses = options.listenAddresses;
  const loop = startSyncLoop<DnsInput, Zone | undefined, Zone>({
    name: 'dns',
    log,
    clock,
    snapshot: () =>
      isSynced()
        ? {
            services: valuesOf(resources.services),
            endpointSlices: valuesOf(resources.endpointSlices),
            namespaces: valuesOf(resources.namespaces),
            pods: options.pods === 'verified' ? valuesOf(resources.pods) : [],
            serial,
            serverAddresses,
          }
        : undefined,
    compile,
    read: () => Promise.resolve(zone),
    diff: (_, desired) => desired,
    apply(desired) {
      // Not earlier: without a zone nothing is forwarded, and a loop would not show.
      if (!zone && forwarder) void probeForLoops(upstreams, exchange, probes, clock);
      zone = desired;
      return Promise.resolve();
    },
    onTurn(turn) {
      failure = turn.error === undefined ? undefined : String(turn.error);
    },
    minInterval: 10,
    resyncInterval: 300_000,
  });
  const changed = (): void => {
    // Seconds since the epoch grow from one run to the next; more than one change a second must still be seen.
    serial = Math.max(Math.floor(clock.now() / 1_000), serial + 1) >>> 0;
    loop.trigger();
  };
  const stopListening = informers.map((informer) => informer.onChange(changed));
  void Promise.all(informers.map((informer) => informer.whenSynced())).then(changed, (error: unknown) =>
    log.error({ err: error }, 'the caches did not sync'),
  );

  context.health.addReady('dns', () => (zone ? undefined : (failure ?? 'waiting for Services, EndpointSlices and Namespaces')));
  log.info(
    { listening: listening.map((each) => joinHostPort(each.udp.address.address, each.udp.address.port)), zone: options.clusterDomain },
    'DNS is listening',
  );

  let counted: { zone: Zone; counts: ReturnType<typeof countZone> } | undefined;
  return {
    report() {
      if (zone && counted?.zone !== zone) counted = { zone, counts: countZone(zone) };
      return {
        zone: options.clusterDomain,
        synced: zone !== undefined,
        serial: zone?.serial ?? 0,
        services: zone?.services.size ?? 0,
        names: counted?.counts.names ?? 0,
        records: counted?.counts.records ?? { A: 0, AAAA: 0, SRV: 0, PTR: 0, CNAME: 0 },
        queries: { total: tally.total, byRcode: { ...tally.byRcode } },
        listening: listening.map((each) => joinHostPort(each.udp.address.address, each.udp.address.port)),
        tcpConnections: listening.reduce((sum, each) => sum + each.tcp.connections, 0),
        upstreams: forwarder?.upstreams ?? [],
      };
    },
    async stop() {
      for (const stop of stopListening) stop();
      await loop.stop();
      await closeAll(listening);
    },
  };
}

interface Sockets {
  readonly udp: UdpSocket;
  readonly tcp: MessageListener;
}

/** Listens on TCP and on UDP of the same port. A port of the kernel's choice may be free for one and taken for the other: then it chooses again. */
async function listenOn(...parts: Parameters<typeof listenOnce>): Promise<Sockets> {
  const [, { port }] = parts;
  for (let attempts = port === 0 ? 10 : 1; ; attempts--) {
    try {
      return await listenOnce(...parts);
    } catch (error) {
      if (attempts === 1 || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
  }
}

async function listenOnce(
  address: string,
  options: DnsOptions,
  udp: UdpTransport,
  tcp: TcpTransport,
  timers: DaemonContext['clock'],
  handle: RequestHandler,
): Promise<Sockets> {
  const family: Family = address.includes(':') ? 6 : 4;
  const limits = {
    idleTimeout: options.tcpIdleTimeout,
    maxConnections: options.maxTcpConnections,
    maxRequest: maxTcpRequest,
    maxPending: maxTcpPending,
    timers,
  };
  const listener = await listenForMessages(tcp, { address, port: options.port }, limits, (request, _, reply) =>
    handle(request, 'tcp', family, reply),
  );
  try {
    const socket: UdpSocket = await udp.bind({ address, port: listener.address.port }, (request, from) =>
      handle(request, 'udp', family, (answer) => {
        if (answer) socket.send(answer, from);
      }),
    );
    return { udp: socket, tcp: listener };
  } catch (error) {
    await listener.close();
    throw error;
  }
}

async function closeAll(listening: readonly Sockets[]): Promise<void> {
  await Promise.all(listening.flatMap((each) => [each.udp.close(), each.tcp.close()]));
}

function explainBind(error: NodeJS.ErrnoException, { port }: DnsOptions): Error {
  if (error.code === 'EADDRINUSE')
    return new Error(`${error.message}: another DNS server holds port ${port}; stop it, or choose --listen-address or --port`, {
      cause: error,
    });
  if (error.code === 'EADDRNOTAVAIL')
    return new Error(`${error.message}: no interface of this node has that address (--listen-address)`, { cause: error });
  if (error.code === 'EACCES') return new Error(`${error.message}: ports below 1024 need root`, { cause: error });
  return error;
}

/** Asks each upstream for a name that nobody else knows: should it come back to us as a request, the upstream forwards to this server. */
async function probeForLoops(
  upstreams: readonly Upstream[],
  exchange: Exchange,
  probes: Map<string, Upstream>,
  clock: DaemonContext['clock'],
): Promise<void> {
  await Promise.all(
    upstreams.map(async (upstream) => {
      const name = nameFromText(`${randomBytes(12).toString('hex')}.podwire-loop-probe.invalid`);
      probes.set(nameKey(name), upstream);
      const single = createForwarder({
        upstreams: [upstream],
        exchange,
        clock,
        randomInteger: randomInt,
        options: { maxConcurrentForwards: 1, forwardTimeout: 2_000, udpPayloadSize: 1_232 },
      });
      // Any outcome but the request's return is fine, also none: the upstream may be down now.
      await single.resolve({ name, type: 1, checkingDisabled: false, dnssecOk: false }).catch(() => undefined);
      probes.delete(nameKey(name));
    }),
  );
}
