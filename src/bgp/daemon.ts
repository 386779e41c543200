import type { Route, RouteChange } from '../dataplane/routes.ts';
import type { CommandRunner } from '../kernel/command-runner.ts';
import { createRouteDriver, type RouteFailure } from '../kernel/routes.ts';
import type { ClusterCache } from '../kube/cluster-cache.ts';
import { joinHostPort } from '../net/index.ts';
import { resources } from '../objects/client.ts';
import type { DaemonContext, NodeDaemon } from '../runtime/daemon.ts';
import { Counter, Gauge } from '../runtime/metrics.ts';
import { startSyncLoop } from '../runtime/sync-loop.ts';
import type { TcpTransport } from '../transport/tcp.ts';
import { type BgpPlan, compile } from './compile.ts';
import { startListeners } from './listeners.ts';
import { type BgpOptions, resolveBgpOptions } from './options.ts';
import { diffKernelRoutes, type KernelRoutes, renderKernelRoutes } from './render/kernel-routes.ts';
import { type BgpReport, reportRoutes } from './report.ts';
import { createSpeaker, type Speaker } from './speaker/speaker.ts';

export interface BgpDependencies {
  /** Undefined runs with the options alone. */
  readonly cluster?: ClusterCache;
  readonly runner: CommandRunner;
  readonly tcp: TcpTransport;
  /** In [0, 1). */
  readonly random?: () => number;
}

/** Routes as read from the kernel, or as they should be there with the loc-RIB of a generation. */
type TableState = KernelRoutes & { readonly generation?: number };

/** Milliseconds until routes that the kernel refused are tried again. */
const refusedRetry = 1_000;

/**
 * Starts the route daemon of a node: an iBGP mesh with all other Nodes and sessions with the peers of the options; what is learned goes into the
 * kernel's main table. Resolves once the kernel's routes of an earlier run are read; sessions and listening follow as the Nodes become known.
 * @throws BgpError for bad options, and without a cluster when it cannot listen; CommandError when the kernel's routes cannot be read.
 */
export async function startBgp(given: Partial<BgpOptions>, deps: BgpDependencies, context: DaemonContext): Promise<NodeDaemon<BgpReport>> {
  const options = resolveBgpOptions(given);
  const { clock } = context;
  const log = context.log.child({ component: 'bgp' });
  const driver = createRouteDriver(deps.runner, options);
  const random = deps.random ?? Math.random;
  const restarting = (await driver.list()).length > 0;
  let plan: BgpPlan = compile({ options, nodes: [] });
  let speaker: Speaker | undefined;
  let speakerKey: string | undefined;
  let installed: ReadonlyMap<string, Route> = new Map();
  let refused: ReadonlyMap<string, RouteFailure> = new Map();
  let synced = false;
  let stopped = false;
  let cancelRetry: () => void = () => undefined;

  const listeners = startListeners({ tcp: deps.tcp, clock, log, port: options.listenPort }, (connection) => {
    if (!speaker?.accept(connection)) log.info({ remote: connection.remote.address }, 'refused a BGP connection: not a configured peer');
  });

  const loop = startSyncLoop<{ speaker: Speaker; generation: number }, TableState, RouteChange>({
    name: 'bgp routes',
    log,
    clock,
    random,
    minInterval: 20,
    resyncInterval: options.resyncInterval,
    snapshot: () => (speaker ? { speaker, generation: speaker.generation } : undefined),
    compile({ speaker, generation }) {
      return { ...renderKernelRoutes(speaker.selections.values(), speaker.known), generation };
    },
    async read() {
      const routes = await driver.list();
      installed = new Map(routes.map((route) => [route.destination.text, route]));
      return { routes };
    },
    diff(actual, desired) {
      const change = diffKernelRoutes(actual, desired);
      if (!change) settled(desired.generation, []);
      return change;
    },
    async apply(change, desired) {
      const failures = await driver.apply(change);
      log.debug(
        { add: change.add.length, replace: change.replace.length, remove: change.remove.length, refused: failures.length },
        'kernel routes changed',
      );
      installed = new Map([
        ...(desired.known ? installed : []),
        ...desired.routes.map((route) => [route.destination.text, route] as const),
      ]);
      settled(desired.generation, failures);
    },
  });

  /** The kernel has what it takes of the loc-RIB of this generation. */
  function settled(generation: number | undefined, failures: readonly RouteFailure[]): void {
    const before = refused;
    refused = new Map(failures.map((failure) => [failure.route.destination.text, failure]));
    for (const [prefix, { reason, detail }] of refused) {
      if (before.get(prefix)?.detail !== detail) log.warn({ prefix, reason, detail }, 'the kernel refused a route; will retry');
    }
    cancelRetry();
    if (refused.size > 0) cancelRetry = clock.setTimer(refusedRetry, () => loop.trigger());
    synced = true;
    if (generation !== undefined) speaker?.release(generation);
  }

  const informer = options.nodeName === undefined ? undefined : deps.cluster?.informer(resources.nodes);

  /** Brings the speaker in line with the Nodes of now. */
  function replan(): void {
    if (stopped || (informer && !informer.synced)) return;
    const next = compile({ options, nodes: [...(informer?.store.values() ?? [])] });
    for (const problem of next.problems) if (!plan.problems.includes(problem)) log.warn({ problem }, 'input cannot be used');
    plan = next;
    // Our own Node may vanish for a moment, as when it is registered anew; its sessions go on until it says something else.
    if (!next.self) return;
    // A failure to listen shows in readiness and is tried again.
    void listeners.set(next.listen).catch(() => undefined);
    const { routerId, addresses } = next.self;
    const key = [routerId, ...addresses].map(({ text }) => text).join(' ');
    if (key !== speakerKey) {
      speaker?.stop('the addresses of this node changed');
      speakerKey = key;
      const first = speaker === undefined;
      speaker = createSpeaker(
        {
          asn: options.asn,
          routerId,
          addresses,
          holdTime: options.holdTime,
          restartTime: options.restartTime,
          deferralTime: options.deferralTime ?? options.restartTime,
          stalePathTime: options.stalePathTime,
          restarting: first && restarting,
        },
        { connect: deps.tcp.connect, clock, random, log },
        {
          routesChanged: () => loop.trigger(),
          deferralEnded() {
            log.info('done waiting for the peers after the restart; kernel routes that none of them told are removed now');
            loop.trigger();
          },
        },
      );
      loop.trigger();
    }
    speaker?.setAdvertisements(next.advertisements);
    speaker?.setPeers(next.peers);
  }

  const unsubscribe = informer?.onChange(replan);
  if (informer) void informer.whenSynced().then(replan);
  else {
    try {
      await listeners.set(compile({ options, nodes: [] }).listen);
    } catch (error) {
      await Promise.all([loop.stop(), listeners.stop()]);
      throw error;
    }
    replan();
  }

  registerMetrics(
    context,
    () => speaker,
    () => installed.size,
  );
  context.health.addReady('bgp', () => {
    if (!speaker) return options.nodeName === undefined ? 'not started' : `Node ${options.nodeName} has no InternalIP yet`;
    return listeners.problem() ?? (synced ? undefined : 'the kernel routes are not synced yet');
  });

  return {
    report(): BgpReport {
      const names = new Map(plan.peers.map(({ address, name }) => [address.text, name]));
      return {
        asn: options.asn,
        ...(plan.self ? { routerId: plan.self.routerId.text } : {}),
        listening: listeners.addresses().map((address) => joinHostPort(address, options.listenPort)),
        deferring: speaker?.deferring ?? restarting,
        peers: speaker?.report() ?? [],
        routes: reportRoutes(speaker?.selections ?? new Map(), {
          nameOf: (peer) => names.get(peer) ?? peer,
          isStale: (path) => speaker?.isStale(path) ?? false,
          inKernel: (path) => installed.get(path.prefix.text)?.gateway?.text === path.nextHop.text && !refused.has(path.prefix.text),
          problemOf: (prefix) => refused.get(prefix)?.detail,
        }),
        problems: plan.problems,
      };
    },
    async stop() {
      stopped = true;
      unsubscribe?.();
      cancelRetry();
      await loop.stop();
      speaker?.stop(options.ceaseOnStop ? 'the route daemon was stopped' : undefined);
      await listeners.stop();
    },
  };
}

/** Metrics are read off the speaker when they are asked for. */
function registerMetrics({ metrics }: DaemonContext, speaker: () => Speaker | undefined, installed: () => number): void {
  const registers = [metrics];
  new Gauge({
    name: 'bgp_peer_state',
    help: 'State of the session: 0 Idle, 1 Connect, 2 Active, 3 OpenSent, 4 OpenConfirm, 5 Established.',
    labelNames: ['peer', 'address'],
    registers,
    collect() {
      this.reset();
      for (const { name, address, state } of speaker()?.report() ?? []) this.set({ peer: name, address }, stateNumbers[state]);
    },
  });
  new Gauge({
    name: 'bgp_prefixes',
    help: 'Prefixes by peer: received, accepted, stale, advertised.',
    labelNames: ['peer', 'kind'],
    registers,
    collect() {
      this.reset();
      for (const { name, received, accepted, stale, advertised } of speaker()?.report() ?? []) {
        for (const [kind, count] of Object.entries({ received, accepted, stale, advertised })) this.set({ peer: name, kind }, count);
      }
    },
  });
  new Counter({
    name: 'bgp_messages_total',
    help: 'Messages by peer, direction and type.',
    labelNames: ['peer', 'direction', 'type'],
    registers,
    collect() {
      this.reset();
      for (const { name, messages } of speaker()?.report() ?? []) {
        for (const direction of ['received', 'sent'] as const) {
          for (const [type, count] of Object.entries(messages[direction])) this.inc({ peer: name, direction, type }, count);
        }
      }
    },
  });
  new Gauge({
    name: 'bgp_loc_rib_routes',
    help: 'Selected routes.',
    registers,
    collect() {
      this.set(speaker()?.selections.size ?? 0);
    },
  });
  new Gauge({
    name: 'bgp_kernel_routes',
    help: 'Routes of ours in the kernel, as last seen.',
    registers,
    collect() {
      this.set(installed());
    },
  });
}

const stateNumbers = { Idle: 0, Connect: 1, Active: 2, OpenSent: 3, OpenConfirm: 4, Established: 5 } as const;
