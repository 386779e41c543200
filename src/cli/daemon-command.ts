import { Command, Option } from 'commander';
import type { KubeClient } from '../kube/client.ts';
import type { ClusterCache } from '../kube/cluster-cache.ts';
import { systemClock } from '../runtime/clock.ts';
import type { Daemon, DaemonContext } from '../runtime/daemon.ts';
import { createHealth } from '../runtime/health.ts';
import { startHealthServer } from '../runtime/health-server.ts';
import { createLogger } from '../runtime/log.ts';
import { createMetrics } from '../runtime/metrics.ts';
import type { PortAnswer } from '../runtime/port-servers.ts';
import { untilAskedToStop } from '../runtime/shutdown.ts';
import { type HostPort, hostPort } from './flags.ts';

export interface CommonOptions {
  readonly logLevel: string;
  readonly healthBindAddress: HostPort;
}

/** A cluster that a daemon is connected to: a client, and a cache whose informers run over it. */
export interface ClusterConnection {
  readonly client: KubeClient;
  readonly cluster: ClusterCache;
}

/**
 * Starts a daemon over the cluster of a kubeconfig. `userAgent` tells the API server who asks. The connection ends with the daemon: after
 * it was stopped, and also when it cannot start. @throws what reading the kubeconfig, `start` and the daemon's `stop` throw.
 */
export async function withCluster(
  { kubeconfig }: { readonly kubeconfig: string },
  context: DaemonContext,
  userAgent: string,
  start: (connection: ClusterConnection) => Promise<Daemon>,
): Promise<Daemon> {
  // Loaded when needed: the API server shares this file and is no client of anybody.
  const [{ createClusterCache }, { createKubeClient }, { loadKubeconfig }, { startInformer }] = await Promise.all([
    import('../kube/cluster-cache.ts'),
    import('../kube/http-client.ts'),
    import('../kube/kubeconfig.ts'),
    import('../kube/reflector.ts'),
  ]);
  const client = createKubeClient(loadKubeconfig(kubeconfig), userAgent);
  const cluster = createClusterCache((resource, options) => startInformer({ ...context, client }, resource, options));
  const disconnect = async (): Promise<void> => {
    cluster.stop();
    await client.close();
  };
  try {
    const daemon = await start({ client, cluster });
    return {
      async stop() {
        try {
          await daemon.stop();
        } finally {
          await disconnect();
        }
      },
    };
  } catch (error) {
    await disconnect();
    throw error;
  }
}

/**
 * A command that runs one daemon in the foreground until SIGTERM or SIGINT: logger, metrics, health server, start, wait, stop.
 * `configure` adds the daemon's own flags. A failure to start is one line on standard error and exit code 1.
 */
export function daemonCommand<O>(
  name: string,
  description: string,
  defaultHealthPort: number,
  configure: (command: Command) => void,
  start: (options: O & CommonOptions, context: DaemonContext) => Promise<Daemon>,
): Command {
  const command = new Command(name)
    .description(description)
    .addOption(
      new Option('--log-level <level>', 'least severe level to log')
        .choices(['fatal', 'error', 'warn', 'info', 'debug', 'trace'])
        .default('info'),
    )
    .addOption(
      new Option('--health-bind-address <host:port>', 'where /healthz, /readyz and /metrics are served')
        .argParser(hostPort)
        .default({ host: '127.0.0.1', port: defaultHealthPort }, `127.0.0.1:${defaultHealthPort}`),
    );
  configure(command);
  return command.action(async (options: O & CommonOptions) => {
    const log = createLogger({ name: `podwire-${name}`, level: options.logLevel });
    const answers = new Map<string, () => PortAnswer>();
    const context: DaemonContext = { log, clock: systemClock, metrics: createMetrics(), health: createHealth(), answers };
    const stopping = untilAskedToStop();
    const { host, port } = options.healthBindAddress;
    const healthServer = await startHealthServer({ host, port }, context.health, context.metrics, answers).catch(
      explainPortInUse('--health-bind-address', options.healthBindAddress),
    );
    const daemon = await start(options, context).catch(async (error: unknown) => {
      // Left open, it would keep the process running.
      await healthServer.close();
      throw error;
    });
    log.info({ pid: process.pid }, `${name} is running`);
    log.info({ signal: await stopping }, `${name} is stopping`);
    await daemon.stop();
    await healthServer.close();
    process.exit(0);
  });
}

/** Adds to the error of a port that is taken which flag to change. */
export const explainPortInUse =
  (flag: string, { host, port }: HostPort) =>
  (error: NodeJS.ErrnoException): never => {
    throw error.code === 'EADDRINUSE'
      ? new Error(`port ${port} of ${host} is in use; choose another with ${flag}`, { cause: error })
      : error;
  };
