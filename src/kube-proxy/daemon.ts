import { availableParallelism } from 'node:os';
import type { CommandRunner } from '../kernel/command-runner.ts';
import { IptablesError } from '../kernel/iptables.ts';
import { writeSysctls } from '../kernel/sysctl.ts';
import type { ClusterCache } from '../kube/cluster-cache.ts';
import type { EventRecorder } from '../kube/events.ts';
import type { Family } from '../net/index.ts';
import { type EndpointSlice, type KubeObject, resources } from '../objects/client.ts';
import type { DaemonContext, NodeDaemon } from '../runtime/daemon.ts';
import { createPortServers } from '../runtime/port-servers.ts';
import { startSyncLoop } from '../runtime/sync-loop.ts';
import { conntrackSettings } from './conntrack-settings.ts';
import { configureConntrack } from './effects/configure-conntrack.ts';
import { trackedFlows } from './effects/tracked-flows.ts';
import { createFamilyLoop } from './family-loop.ts';
import { healthAnswers, isNodeEligible, type ProxyHealth } from './health-answers.ts';
import { healthCheckAnswers } from './health-checks.ts';
import type { ProxyInput } from './input.ts';
import { createProxyMetrics } from './metrics.ts';
import { removeOtherModes } from './effects/mode-removal.ts';
import { type ProxyOptionsInput, resolveProxyOptions } from './options.ts';
import { createProblemEvents, healthPortProblems } from './problem-events.ts';
import { programmersOf } from './effects/programmers.ts';
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

/** When the endpoints of the slice changed, as the controller noted it; ms since the epoch. */
function triggerTimeOf(slice: EndpointSlice | undefined): number | undefined {
  const time = Date.parse(slice?.metadata.annotations?.['endpoints.kubernetes.io/last-change-trigger-time'] ?? '');
  return Number.isNaN(time) ? undefined : time;
}
