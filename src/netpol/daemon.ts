import { Gauge } from 'prom-client';
import type { NftTable, NftTransaction } from '../dataplane/nft.ts';
import { diffNftTable } from '../dataplane/nft-diff.ts';
import type { CommandRunner } from '../kernel/command-runner.ts';
import { createConntrack, isMissingTool } from '../kernel/conntrack.ts';
import { createNft, type Nft, type NftCounter } from '../kernel/nft.ts';
import { readSysctl } from '../kernel/sysctl.ts';
import type { ClusterCache } from '../kube/cluster-cache.ts';
import { resources } from '../objects/client.ts';
import type { DaemonContext, NodeDaemon } from '../runtime/daemon.ts';
import { startSyncLoop } from '../runtime/sync-loop.ts';
import { compileNetpol } from './compile.ts';
import { deniedFlows } from './flows.ts';
import type { NetpolInput } from './input.ts';
import type { Direction, NetpolModel } from './model.ts';
import { type NetpolOptions, netpolOptions } from './options.ts';
import { dropCounters, renderNft } from './render/nft.ts';
import type { NetpolReport } from './report.ts';

export interface NetpolDependencies {
  readonly cluster: ClusterCache;
  /** Runs nft, conntrack and cat in the node's network namespace. */
  readonly runner: CommandRunner;
  /** Default: nftables through the runner. */
  readonly nft?: Nft;
}

interface State {
  readonly table: NftTable | undefined;
  /** Undefined in what was read from the kernel. */
  readonly model: NetpolModel | undefined;
}

const directions: readonly Direction[] = ['ingress', 'egress'];
/** How old the drop counters of a report may be (ms). */
const countersAge = 1_000;

/**
 * Starts enforcing network policies for the pods of one node. Resolves when nft has been found to work; the first sync follows once the caches have
 * synced, and until then what an earlier run left in the kernel stays in force, as it does after stop().
 * @throws NetpolError for bad options, NftError when nft cannot be used.
 */
export async function startNetworkPolicies(
  given: Partial<NetpolOptions>,
  { cluster, runner, nft = createNft(runner) }: NetpolDependencies,
  context: DaemonContext,
): Promise<NodeDaemon<NetpolReport>> {
  const options = netpolOptions(given);
  const { clock } = context;
  const log = context.log.child({ component: 'netpol' });
  const pods = cluster.informer(resources.pods);
  const namespaces = cluster.informer(resources.namespaces);
  const policies = cluster.informer(resources.networkPolicies);
  const informers = [pods, namespaces, policies] as const;

  /** What the kernel holds as far as we know; undefined when that has to be read. */
  let believed: State | undefined;
  let readAt = 0;
  let model: NetpolModel | undefined;
  let lastSync = 0;
  let failure: string | undefined;
  let bridge = await checkBridge(runner);
  if (bridge.warning) log.warn(bridge.warning);
  // Fails here and now when nft is missing or not allowed.
  const counters = await createCounters(nft, options.table, clock);

  const loop = startSyncLoop<NetpolInput, State, NftTransaction>({
    name: 'netpol',
    log,
    clock,
    snapshot: () =>
      informers.every((informer) => informer.synced)
        ? {
            nodeName: options.nodeName,
            pods: pods.store.values(),
            namespaces: namespaces.store.values(),
            policies: policies.store.values(),
          }
        : undefined,
    compile(input) {
      const compiled = compileNetpol(input);
      return { model: compiled, table: renderNft(compiled, options.table) };
    },
    async read() {
      const now = clock.monotonic();
      if (believed && now - readAt < options.resyncInterval) return believed;
      bridge = await checkBridge(runner);
      readAt = now;
      return { table: await nft.read(options.table), model: undefined };
    },
    diff(actual, desired) {
      const change = diffNftTable(actual.table, desired.table!);
      believed = desired;
      model = desired.model;
      return change;
    },
    async apply(change, desired) {
      believed = undefined;
      await nft.apply(change);
      believed = desired;
      log.debug({ operations: change.operations.length }, 'network policies written');
      cutFlows(desired);
    },
    onTurn({ error }) {
      if (error !== undefined) believed = undefined;
      else if (informers.every((informer) => informer.synced)) lastSync = clock.now();
      failure = error === undefined ? undefined : error instanceof Error ? error.message : String(error);
    },
    minInterval: options.minSyncInterval,
    resyncInterval: options.resyncInterval,
  });

  const conntrack = createConntrack(runner);
  let cutting: Promise<void> | undefined;
  let isConntrackMissing = false;
  /** Best effort, one pass at a time: see deniedFlows. */
  function cutFlows({ table, model: current }: State): void {
    if (cutting || isConntrackMissing || !table || !current || current.pods.length === 0) return;
    const pass = async (): Promise<void> => {
      for (const family of [4, 6] as const) await conntrack.deleteUdp(family, deniedFlows(await conntrack.listUdp(family), table, current));
    };
    cutting = pass()
      .catch((error: unknown) => {
        isConntrackMissing = isMissingTool(error);
        log.warn({ err: error }, 'flows that are denied now could not be cut: answers in them may go on for a while');
      })
      .finally(() => {
        cutting = undefined;
      });
  }

  const stopListening = informers.map((informer) => informer.onChange(() => loop.trigger()));
  void Promise.all(informers.map((informer) => informer.whenSynced())).then(
    () => loop.trigger(),
    (error: unknown) => log.error({ err: error }, 'the caches did not sync'),
  );
  const problem = (): string | undefined =>
    failure ?? bridge.problem ?? (lastSync === 0 ? 'waiting for Pods, Namespaces and NetworkPolicies' : undefined);
  context.health.addReady('netpol', problem);
  new Gauge({
    name: 'podwire_netpol_dropped_packets',
    help: 'Packets dropped because their pod is isolated and no policy allows them.',
    labelNames: ['direction'],
    registers: [context.metrics],
    async collect() {
      await counters.refresh();
      for (const direction of directions) this.set({ direction }, counters.dropped(direction));
    },
  });
  new Gauge({
    name: 'podwire_netpol_isolated_pods',
    help: 'Pods of this node isolated in a direction.',
    labelNames: ['direction'],
    registers: [context.metrics],
    collect() {
      for (const direction of directions) this.set({ direction }, countIsolated(model, direction));
    },
  });

  return {
    report() {
      counters.refreshSoon();
      const trouble = problem();
      return {
        table: options.table,
        lastSync,
        ...(trouble === undefined ? {} : { problem: trouble }),
        policies: (model?.policies ?? []).map((policy) => {
          const [namespace = '', name = ''] = policy.id.split('/');
          return {
            namespace,
            name,
            directions: directions.filter((direction) => policy[direction]),
            pods: policy.selects.map((id) => id.slice(namespace.length + 1)),
          };
        }),
        isolated: { ingress: countIsolated(model, 'ingress'), egress: countIsolated(model, 'egress') },
        drops: { ingress: counters.dropped('ingress'), egress: counters.dropped('egress') },
      };
    },
    async stop() {
      for (const stop of stopListening) stop();
      await loop.stop();
      await cutting;
    },
  };
}

const countIsolated = (model: NetpolModel | undefined, direction: Direction): number =>
  model?.pods.filter((pod) => pod[direction]).length ?? 0;

/** The table's drop counters, read at most once a second. */
async function createCounters(nft: Nft, table: string, clock: DaemonContext['clock']) {
  let values: ReadonlyMap<string, NftCounter> = await nft.counters(table);
  let readAt = clock.monotonic();
  let reading: Promise<void> | undefined;
  const refresh = (): Promise<void> => {
    if (reading) return reading;
    if (clock.monotonic() - readAt < countersAge) return Promise.resolve();
    readAt = clock.monotonic();
    reading = nft
      .counters(table)
      .then((read) => {
        values = read;
      })
      // The sync loop meets the same error and reports it.
      .catch(() => undefined)
      .finally(() => {
        reading = undefined;
      });
    return reading;
  };
  return {
    refresh,
    refreshSoon: (): void => void refresh(),
    dropped: (direction: Direction): number => values.get(dropCounters[direction])?.packets ?? 0,
  };
}

/** Pods of one node talk over a bridge; only with these parameters do their packets pass nftables' forward hook. */
async function checkBridge(runner: CommandRunner): Promise<{ problem?: string; warning?: string }> {
  for (const name of ['bridge-nf-call-iptables', 'bridge-nf-call-ip6tables']) {
    const value = await readSysctl(runner, `net/bridge/${name}`);
    if (value === undefined)
      return {
        warning: 'br_netfilter is not loaded: traffic between pods on one bridge of this node is not filtered (modprobe br_netfilter)',
      };
    if (value === '0')
      return {
        problem: `net.bridge.${name} is 0: traffic between pods of this node would not be filtered; run sysctl -w net.bridge.${name}=1`,
      };
  }
  return {};
}
