import { startBgp } from '../bgp/daemon.ts';
import { startCniInstaller } from '../cni-plugin/daemon.ts';
import { startCniService } from '../cni-plugin/effects/service.ts';
import { startDns } from '../dns/daemon.ts';
import type { CommandRunner } from '../kernel/command-runner.ts';
import { startProxy } from '../kube-proxy/daemon.ts';
import type { ClusterCache } from '../kube/cluster-cache.ts';
import type { EventRecorder } from '../kube/events.ts';
import { startNetworkPolicies } from '../netpol/daemon.ts';
import type { Daemon, DaemonContext } from '../runtime/daemon.ts';
import { systemTcp } from '../transport/tcp.ts';
import { startControlServer } from './control.ts';
import { type AgentOptions, podTraffic } from './options.ts';
import { agentStatus } from './agent-status.ts';

/**
 * The daemons of one node in one process, over one set of watch caches: CNI installer, route daemon, service proxy, network policies, DNS server,
 * and the control API on a unix socket. When one cannot be started, those before it are stopped, and the error is thrown.
 */
export async function startAgent(
  options: AgentOptions,
  deps: { cluster: ClusterCache; runner: CommandRunner; events?: Pick<EventRecorder, 'record'> },
  context: DaemonContext,
): Promise<Daemon> {
  const { cluster, runner, events } = deps;
  const { nodeName } = options;
  const started: { stop(): Promise<void> }[] = [];
  const keep = <D extends { stop(): Promise<void> }>(daemon: D): D => {
    started.push(daemon);
    return daemon;
  };
  const stopAll = async (): Promise<void> => {
    for (const daemon of started.reverse()) await daemon.stop();
  };
  try {
    // Policies before addresses and services: a pod is isolated before anything can reach it.
    const netpol = keep(await startNetworkPolicies({ nodeName }, { cluster, runner }, context));
    const [cni, bgp, proxy, dns] = await Promise.all([
      startCniInstaller({ nodeName, ...options.cni }, { cluster, runner }, context).then(keep),
      startBgp({ nodeName, ...options.bgp }, { cluster, runner, tcp: systemTcp }, context).then(keep),
      startProxy({ nodeName, ...podTraffic(options.clusterCIDRs) }, { cluster, runner, ...(events && { events }) }, context).then(keep),
      startDns({ clusterDomain: options.clusterDomain, listenAddresses: [...options.dnsListenAddresses] }, { cluster }, context).then(keep),
    ]);
    // Last: whoever asks it gets a pod that works.
    keep(await startCniService(options.cni, { runner }, context));
    const reports = {
      cni: () => cni.report(),
      bgp: () => bgp.report(),
      proxy: () => proxy.report(),
      netpol: () => netpol.report(),
      dns: () => dns.report(),
    };
    const control = await startControlServer(options.controlSocket, () =>
      agentStatus(nodeName, process.pid, context.health.ready(), reports),
    );
    started.push({ stop: () => control.close() });
    return { stop: stopAll };
  } catch (error) {
    await stopAll();
    throw error;
  }
}
