import { existsSync } from 'node:fs';
import { availableParallelism, release } from 'node:os';
import type { CommandRunner } from '../kernel/command-runner.ts';
import { createConntrack, isMissingTool } from '../kernel/conntrack.ts';
import { createIptables, type Iptables, IptablesError } from '../kernel/iptables.ts';
import { createDirector } from '../kernel/ipvs-director.ts';
import { createNft } from '../kernel/nft.ts';
import { writeSysctls } from '../kernel/sysctl.ts';
import type { ClusterCache } from '../kube/cluster-cache.ts';
import type { EventRecorder } from '../kube/events.ts';
import type { Family } from '../net/index.ts';
import { type EndpointSlice, type KubeObject, resources } from '../objects/client.ts';
import type { DaemonContext, NodeDaemon } from '../runtime/daemon.ts';
import type { Logger } from '../runtime/log.ts';
import { createPortServers } from '../runtime/port-servers.ts';
import { startSyncLoop } from '../runtime/sync-loop.ts';
import { conntrackSettings } from './conntrack-settings.ts';
import { configureConntrack } from './effects/configure-conntrack.ts';
import { createFamilyLoop, type UdpFlows } from './family-loop.ts';
import { healthAnswers, isNodeEligible, type ProxyHealth } from './health-answers.ts';
import { healthCheckAnswers } from './health-checks.ts';
import type { ProxyInput } from './input.ts';
import { ipvsProgrammer } from './ipvs-programmer.ts';
import { createProxyMetrics } from './metrics.ts';
import { type ProxyOptions, type ProxyOptionsInput, resolveProxyOptions } from './options.ts';
import { type AnyProgrammer, iptablesProgrammer, nftablesProgrammer } from './programmer.ts';
import { createProblemEvents, healthPortProblems } from './problem-events.ts';
import { dummyLink, ipvsOwner, ipvsSysctls } from './render/ipvs.ts';
import { type ProxyReport, reportServices } from './report.ts';

export interface ProxyDependencies {
  readonly cluster: ClusterCache;
  /** Runs iptables, ip6tables, nft, ipset, ipvsadm, ip, conntrack and sysctl in the node's network namespace. */
  readonly runner: CommandRunner;
  /** Takes what could not be programmed; without it the log alone tells. */
  readonly events?: Pick<EventRecorder, 'record'>;
}

/**
 * Starts the service proxy of one node. Resolves when the tools have been found to work; the first sync follows once the caches are filled.
 * Stopping leaves all rules in place. @throws ProxyError for bad options, IptablesError when iptables cannot be used,
 * IpvsError when the kernel or the machine lacks what mode ipvs needs.
 */
export async function startProxy(
  input: ProxyOptionsInput,
  { cluster, runner, events }: ProxyDependencies,
  context: DaemonContext,
): Promise<NodeDaemon<ProxyReport>> {
  const options = resolveProxyOptions(input);
  const { clock, health } = context;
  const log = context.log.child({ component: 'proxy' });
  const programmers = programmersOf(options.mode, options, runner, log, { monotonic: () => clock.monotonic() });
  const initial = await Promise.all(programmers.map((programmer) => programmer.read()));
  if (options.mode === 'iptables' && options.localhostNodePorts && options.families.includes('IPv4'))
    await writeSysctls(runner, [['net/ipv4/conf/all/route_localnet', '1']]);
  await configureConntrack(conntrackSettings(options, availableParallelism()), runner, log);

  const metrics = createProxyMetrics(context.metrics, options.mode);
  const services = cluster.informer(resources.services);
  const slices = cluster.informer(resources.endpointSlices);
  const nodes = cluster.informer(resources.nodes, { fieldSelector: `metadata.name=${options.nodeName}` });
  const snapshot = (): ProxyInput | undefined =>
    services.synced && slices.synced && nodes.synced
      ? {
          nodeName: options.nodeName,
          node: nodes.store.get(options.nodeName),
          services: services.store.values(),
          endpointSlices: slices.store.values(),
        }
      : undefined;

  const flows = trackedFlows(runner, log);
  /** When endpoints changed, by the controller's clock (ms), and not yet in the kernel; for each family. */
  const waiting = new Map<Family, number[]>(programmers.map(({ family }) => [family, []]));
  let switched: Promise<unknown> | undefined;
  const families = programmers.map((programmer, index) => {
    const { family } = programmer;
    const onRestoreFailed = (error: unknown, isPartial: boolean): void => {
      if (error instanceof IptablesError && error.code === 'lock-held') metrics.lockHeld(family);
      metrics.restoreFailed(family, isPartial);
    };
    const onSynced = (): void => {
      // What another mode left behind goes once this one serves, so that no connection waits.
      switched ??= removeOtherModes(options, runner, log);
      void answerHealthChecks();
      for (const changedAt of waiting.get(family)!.splice(0)) metrics.latency(family, Math.max(0, clock.now() - changedAt) / 1_000);
    };
    return createFamilyLoop({ programmer, flows, options, context, metrics, snapshot, onRestoreFailed, onSynced }, initial[index]!);
  });
  const portServers = createPortServers(log);
  const problemEvents = createProblemEvents();
  /** `Service default/web` */
  const findObject = (text: string): KubeObject | undefined => {
    const [kind, key = ''] = text.split(' ');
    return (kind === 'Service' ? services : slices).store.get(key);
  };
  /** After every sync: what a load balancer hears follows the rules, and never leads them. */
  const answerHealthChecks = async (): Promise<void> => {
    const models = families.flatMap((family) => family.model() ?? []);
    const closed = await portServers.serve(healthCheckAnswers(models, health.live().ok));
    const problems = models.flatMap((model) => model.problems);
    const ports =
      closed.size === 0
        ? []
        : healthPortProblems(
            closed,
            models.flatMap(({ services: each }) => each),
          );
    metrics.unprogrammed([...problems, ...ports]);
    for (const note of problemEvents.notesOf([...problems, ...ports], findObject)) events?.record(note);
  };
  const loops = families.map(({ parts, watch }) => {
    const loop = startSyncLoop(parts);
    watch(loop.trigger);
    return loop;
  });

  const trigger = (): void => {
    metrics.queued(clock.now() / 1_000);
    for (const loop of loops) loop.trigger();
  };
  const stopListening = [
    services.onChange(() => {
      metrics.changed('services');
      trigger();
    }),
    slices.onChange((_, after) => {
      metrics.changed('endpoints');
      const changedAt = triggerTimeOf(after);
      if (changedAt !== undefined) for (const times of waiting.values()) if (times.length < 10_000) times.push(changedAt);
      trigger();
    }),
    nodes.onChange(trigger),
  ];
  void Promise.all([services.whenSynced(), slices.whenSynced(), nodes.whenSynced()]).then(trigger, () => undefined);

  const patience = 2 * Math.max(options.syncPeriod, 30_000);
  const startedAt = clock.now();
  const statuses = () => families.map((family) => family.status());
  health.addReady('proxy', () => {
    const pending = statuses().find(({ lastSync }) => lastSync === 0);
    return pending && `IPv${pending.family}: ${pending.problem ?? 'not synced yet'}`;
  });
  health.addLive('proxy', () => {
    const late = statuses().find(({ problem, lastSync }) => problem !== undefined && clock.now() - (lastSync || startedAt) > patience);
    return late && `IPv${late.family}: ${late.problem}`;
  });

  const proxyHealth = (): ProxyHealth => ({
    isHealthy: health.live().ok,
    isNodeEligible: isNodeEligible(nodes.store.get(options.nodeName)),
    lastUpdated: Math.max(...statuses().map(({ lastSync }) => lastSync)),
    now: clock.now(),
  });
  for (const [path, answer] of healthAnswers(proxyHealth, metrics.answered)) context.answers?.set(path, answer);

  return {
    async stop() {
      for (const stop of stopListening) stop();
      await Promise.all(loops.map((loop) => loop.stop()));
      await Promise.all(families.map((family) => family.close()));
      await switched;
      await portServers.close();
    },
    report() {
      const each = families.map((family) => family.report());
      return {
        mode: options.mode,
        services: reportServices(families.flatMap((family) => family.model() ?? [])),
        lastSync: Math.min(...each.map(({ lastSync }) => lastSync)),
        families: each,
      };
    },
  };
}

/** Removes all that the proxy ever programs, in every mode and family; rules of others stay. Returns how many rules went. */
export async function cleanupProxy(input: ProxyOptionsInput, runner: CommandRunner, log: Logger): Promise<number> {
  const options = resolveProxyOptions(input);
  let removed = 0;
  for (const mode of modes) removed += await removeMode(mode, undefined, options, runner, log);
  return removed;
}

type Mode = ProxyOptions['mode'];

/** Mode ipvs first: it takes the chains that it has in common with iptables with it. */
const modes: readonly Mode[] = ['ipvs', 'iptables', 'nftables'];

async function removeOtherModes(options: ProxyOptions, runner: CommandRunner, log: Logger): Promise<void> {
  // In mode ipvs each sync claims what mode iptables left, because some chains belong to both.
  for (const mode of modes.filter((each) => each !== options.mode && !(each === 'iptables' && options.mode === 'ipvs'))) {
    try {
      const removed = await removeMode(mode, options.mode, options, runner, log);
      if (removed > 0) log.info({ mode, rules: removed }, 'removed the rules of another mode');
    } catch (error) {
      log.warn({ err: error, mode }, 'cannot remove the rules of another mode; run podwire proxy --cleanup');
    }
  }
}

/** A tool that is not installed has programmed nothing. `stays` is the mode that is not removed. */
async function removeMode(mode: Mode, stays: Mode | undefined, options: ProxyOptions, runner: CommandRunner, log: Logger): Promise<number> {
  let removed = 0;
  // Who changes the mode may have changed the variant of iptables with it, and whether one or the other was used then nobody knows any more.
  const variants = mode === 'iptables' ? new Set([options.iptables, 'nft', 'legacy'] as const) : [options.iptables];
  for (const iptables of variants) {
    for (const programmer of programmersOf(mode, { ...options, iptables }, runner, log, { removal: { stays } })) {
      let actual: unknown;
      try {
        actual = await programmer.read();
      } catch (error) {
        // Nor has a variant that this kernel has not.
        if (iptables !== options.iptables || (error as { code?: unknown }).code === 'not-installed') continue;
        throw error;
      }
      const change = programmer.diff(actual, programmer.empty);
      if (change === undefined) continue;
      for (const count of programmer.count(actual).values()) removed += count;
      await programmer.apply(change);
    }
  }
  return removed;
}

export interface ProgrammersSetting {
  /** The mode is to be removed, and this one stays. */
  readonly removal?: { readonly stays: Mode | undefined };
  /** Milliseconds of a clock that is never put back; the machine's by default. */
  readonly monotonic?: () => number;
}

/** The doors to the kernel for every family that is wanted and there. */
export function programmersOf(
  mode: Mode,
  options: ProxyOptions,
  runner: CommandRunner,
  log: Logger,
  { removal, monotonic = () => performance.now() }: ProgrammersSetting = {},
): AnyProgrammer[] {
  return options.families.flatMap((name) => {
    if (name === 'IPv6' && !existsSync('/proc/sys/net/ipv6')) {
      log.warn('this kernel has no IPv6: programming IPv4 only');
      return [];
    }
    const family = name === 'IPv4' ? 4 : 6;
    if (mode === 'nftables') return [nftablesProgrammer(createNft(runner, { standby: removal === undefined }), family, options)];
    const iptables = createIptables(runner, family, { variant: options.iptables, lockTimeout: options.lockTimeout });
    const door = explainMissing(iptables);
    if (mode === 'iptables') return [iptablesProgrammer(door, options)];
    const director = createDirector(runner, door, {
      link: dummyLink,
      ownsSet: ipvsOwner(family, options, false).ownsSet,
      sysctls: removal ? [] : ipvsSysctls(options),
      lenient: removal !== undefined,
    });
    return [
      ipvsProgrammer(director, family, options, { monotonic, kernelRelease: release(), keepsIptables: removal?.stays === 'iptables' }),
    ];
  });
}

/** Adds what to do to the errors of somebody who has just begun. */
function explainMissing(driver: Iptables): Iptables {
  return {
    ...driver,
    async read() {
      try {
        return await driver.read();
      } catch (error) {
        if (!(error instanceof IptablesError) || error.code !== 'not-permitted') throw error;
        throw new IptablesError(
          error.code,
          `${error.message.trim()} (the service proxy needs root, or CAP_NET_ADMIN and CAP_NET_RAW)`,
          undefined,
          error,
        );
      }
    },
  };
}

/** Connection tracking by the conntrack tool; without it a warning, once. */
function trackedFlows(runner: CommandRunner, log: Logger): UdpFlows {
  const conntrack = createConntrack(runner);
  let isMissing = false;
  return {
    async list(family) {
      if (isMissing) return undefined;
      try {
        return await conntrack.listUdp(family);
      } catch (error) {
        if (!isMissingTool(error)) throw error;
        isMissing = true;
        log.warn('the conntrack tool is not installed: UDP clients may keep sending to endpoints that are gone');
        return undefined;
      }
    },
    delete: (family, groups) => conntrack.deleteUdp(family, groups),
  };
}

/** When the endpoints of the slice changed, as the controller noted it; ms since the epoch. */
function triggerTimeOf(slice: EndpointSlice | undefined): number | undefined {
  const time = Date.parse(slice?.metadata.annotations?.['endpoints.kubernetes.io/last-change-trigger-time'] ?? '');
  return Number.isNaN(time) ? undefined : time;
}
