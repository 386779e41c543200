import { writeFileSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { systemRunner } from '../kernel/command-runner.ts';
import { startProxy } from '../kube-proxy/daemon.ts';
import { cleanupProxy } from '../kube-proxy/effects/mode-removal.ts';
import { configurationOf, metricsPort, printConfiguration, type ProxyOptions, resolveProxyOptions } from '../kube-proxy/index.ts';
import type { Daemon, DaemonContext } from '../runtime/daemon.ts';
import { startHealthServer } from '../runtime/health-server.ts';
import { createLogger } from '../runtime/log.ts';
import type { PortAnswer } from '../runtime/port-servers.ts';
import { type CommonOptions, daemonCommand, explainPortInUse, withCluster } from './daemon-command.ts';
import { booleanOption, type HostPort, hostPort, wholeNumber } from './flags.ts';
import { flagsWithoutEffect, logLevelOf } from './proxy-configuration.ts';
import { configureProxy, optionsOf, type ProxyFlags } from './proxy-flags.ts';
import { lookCommands } from './proxy-look-commands.ts';

interface DaemonFlags extends ProxyFlags, CommonOptions {
  readonly cleanup: boolean;
  readonly writeConfigTo?: string;
  readonly oomScoreAdj?: number;
  readonly v?: number;
  readonly healthzBindAddress?: HostPort;
  readonly metricsBindAddress: HostPort;
}

/** `podwire proxy`: kube-proxy's part of one node, with its flags and its configuration file. */
export const command = (): Command =>
  daemonCommand<DaemonFlags>('proxy', 'make Services reachable from this node (kube-proxy)', 10_256, configure, async (flags, context) => {
    const options = resolveProxyOptions(optionsOf(flags));
    const kubeconfig = kubeconfigOf(flags);
    if (kubeconfig === undefined)
      throw new Error('--kubeconfig is needed, or clientConnection.kubeconfig in the file of --config (only --cleanup goes without)');
    adjustOomScore(flags.fromFile?.oomScoreAdj ?? flags.oomScoreAdj, context);
    const daemon = await withCluster({ kubeconfig }, context, 'podwire-proxy', async ({ cluster, client }) => {
      const { createEventRecorder } = await import('../kube/events.ts');
      const events = createEventRecorder({ ...context, client, component: 'kube-proxy', host: options.nodeName });
      return startProxy(options, { cluster, runner: systemRunner, events }, context);
    });
    return withMetricsServer(daemon, flags, options, context);
  });

/** Lowering it needs CAP_SYS_RESOURCE; without that the proxy runs all the same. */
function adjustOomScore(score: number | undefined, { log }: DaemonContext): void {
  if (score === undefined) return;
  try {
    writeFileSync('/proc/self/oom_score_adj', String(score));
  } catch (error) {
    log.warn({ err: error, score }, 'the OOM score could not be set');
  }
}

const kubeconfigOf = (flags: ProxyFlags): string | undefined => flags.kubeconfig ?? flags.fromFile?.kubeconfig;

/** The server for Prometheus and people at kube-proxy's other address: /metrics, /proxyMode, /configz. */
async function withMetricsServer(daemon: Daemon, flags: DaemonFlags, options: ProxyOptions, context: DaemonContext): Promise<Daemon> {
  const at = flags.metricsBindAddress;
  const answer = (contentType: string, body: string) => (): PortAnswer => ({ code: 200, headers: { 'content-type': contentType }, body });
  const configuration = { 'kubeproxy.config.k8s.io': configurationOf(options, serverSettings(flags)) };
  const answers = new Map([
    ['/proxyMode', answer('text/plain; charset=utf-8', options.mode)],
    ['/configz', answer('application/json', JSON.stringify(configuration))],
  ]);
  // Metrics are not for whoever may ask after the node's health.
  if (!isLoopback(flags.healthBindAddress.host)) context.answers?.set('/metrics', () => ({ code: 404, headers: {}, body: 'not found\n' }));
  try {
    const server = await startHealthServer(at, context.health, context.metrics, answers).catch(
      explainPortInUse('--metrics-bind-address', at),
    );
    return {
      async stop() {
        await server.close();
        await daemon.stop();
      },
    };
  } catch (error) {
    await daemon.stop();
    throw error;
  }
}

const isLoopback = (host: string): boolean => /^127\.|^::1$|^localhost$/.test(host);

const textOf = ({ host, port }: HostPort): string => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`);

const serverSettings = (flags: DaemonFlags) => ({
  kubeconfig: kubeconfigOf(flags) ?? '',
  healthzBindAddress: textOf(flags.healthBindAddress),
  metricsBindAddress: textOf(flags.metricsBindAddress),
});

function configure(command: Command): void {
  configureProxy(command);
  // The flags of these are their own, though they have the same names.
  command.enablePositionalOptions();
  for (const look of lookCommands()) command.addCommand(look);
  const loopback = { host: '127.0.0.1', port: metricsPort };
  for (const flag of flagsWithoutEffect) command.addOption(new Option(flag, 'taken and not used').hideHelp());
  command
    .addOption(new Option('--healthz-bind-address <host:port>', "--health-bind-address, by kube-proxy's name").argParser(hostPort))
    .addOption(
      new Option('--metrics-bind-address <host:port>', 'where /metrics, /proxyMode and /configz are served')
        .argParser(hostPort)
        .default(loopback, `127.0.0.1:${metricsPort}`),
    )
    .option('--write-config-to <file>', 'write what the flags say as a KubeProxyConfiguration, and end')
    .addOption(booleanOption('--cleanup', 'remove all chains and rules of the proxy, and end', false))
    .option('--oom-score-adj <score>', 'of this process, -1000 to 1000 (default: as it is)', oomScore)
    .option('-v, --v <level>', "log level by klog's number: 4 and more is debug, 6 and more trace", wholeNumber(0, 100, 'a level'))
    .hook('preAction', async (self, action) => {
      if (self !== action) return;
      const { healthzBindAddress, v } = self.opts<DaemonFlags>();
      if (v !== undefined) self.setOptionValueWithSource('logLevel', logLevelOf(v), 'cli');
      if (healthzBindAddress && self.getOptionValueSource('healthBindAddress') === 'default')
        self.setOptionValueWithSource('healthBindAddress', healthzBindAddress, 'cli');
      await endEarly(self.opts<DaemonFlags>());
    });
}

function oomScore(text: string): number {
  if (!/^-?\d{1,4}$/.test(text) || Math.abs(Number(text)) > 1_000) throw new InvalidArgumentError('Expected a score, -1000 to 1000.');
  return Number(text);
}

/** What is done instead of running the daemon, if anything. */
async function endEarly(flags: DaemonFlags): Promise<void> {
  if (flags.writeConfigTo !== undefined) {
    writeFileSync(flags.writeConfigTo, printConfiguration(resolveProxyOptions(optionsOf(flags)), serverSettings(flags)), { mode: 0o600 });
    process.exit(0);
  }
  if (!flags.cleanup) return;
  const log = createLogger({ name: 'podwire-proxy', level: flags.logLevel });
  const removed = await cleanupProxy(optionsOf(flags), systemRunner, log);
  process.stdout.write(`removed ${removed} chains of the service proxy\n`);
  process.exit(0);
}
