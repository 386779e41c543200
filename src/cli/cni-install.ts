import type { Command } from 'commander';
import { startCniInstaller } from '../cni-plugin/daemon.ts';
import { installOnce } from '../cni-plugin/effects/install.ts';
import { type InstallerInput, installerOptions } from '../cni-plugin/index.ts';
import { podCIDRsOf } from '../cni-plugin/installation.ts';
import { createKubeClient } from '../kube/http-client.ts';
import { loadKubeconfig } from '../kube/kubeconfig.ts';
import { resources } from '../objects/client.ts';
import { systemClock } from '../runtime/clock.ts';
import { createHealth } from '../runtime/health.ts';
import { createLogger } from '../runtime/log.ts';
import { createMetrics } from '../runtime/metrics.ts';
import { untilAskedToStop } from '../runtime/shutdown.ts';
import { withCluster } from './daemon-command.ts';

interface InstallFlags extends Omit<InstallerInput, 'nodeName'> {
  readonly podCidr: string[];
  readonly executable?: string;
  readonly kubeconfig?: string;
  readonly nodeName?: string;
  readonly follow: boolean;
}

/** `podwire cni install`. The process ends with 2 for wrong usage, 1 when something cannot be written or read. */
export async function install(flags: InstallFlags, command: Command): Promise<void> {
  const { podCidr, executable, kubeconfig, nodeName = 'this', follow, ...rest } = flags;
  if (podCidr.length > 0 === (kubeconfig !== undefined))
    command.error('error: give either --pod-cidr, or --kubeconfig and --node-name', { exitCode: 2, code: 'podwire.usage' });
  if ((kubeconfig === undefined) !== (flags.nodeName === undefined) || (follow && kubeconfig === undefined))
    command.error('error: --kubeconfig, --node-name and --follow belong together', { exitCode: 2, code: 'podwire.usage' });
  const options: InstallerInput = { ...rest, nodeName };
  if (follow && kubeconfig !== undefined) return followNode(options, { kubeconfig }, executable);
  const podCIDRs = kubeconfig === undefined ? podCidr : await readPodCIDRs(kubeconfig, nodeName);
  const paths = installOnce(options, podCIDRs, executable);
  process.stdout.write(`${paths.executable}\n${paths.standalone}\n${paths.ipam}\n${paths.conflist}\n`);
}

/** Pod CIDRs of a Node. @throws Error when it has none yet, ApiError when there is no such Node */
export async function readPodCIDRs(kubeconfig: string, nodeName: string): Promise<readonly string[]> {
  const client = createKubeClient(loadKubeconfig(kubeconfig), 'podwire-cni');
  try {
    const podCIDRs = podCIDRsOf(await client.get(resources.nodes, nodeName));
    if (podCIDRs.length === 0) throw new Error(`Node ${nodeName} has no spec.podCIDRs`);
    return podCIDRs;
  } finally {
    await client.close();
  }
}

async function followNode(
  options: InstallerInput,
  connection: { readonly kubeconfig: string },
  executable: string | undefined,
): Promise<void> {
  installerOptions(options);
  const stopping = untilAskedToStop();
  const context = {
    log: createLogger({ name: 'podwire-cni', level: 'info' }),
    clock: systemClock,
    metrics: createMetrics(),
    health: createHealth(),
  };
  const daemon = await withCluster(connection, context, 'podwire-cni', ({ cluster }) =>
    startCniInstaller(options, { cluster, ...(executable === undefined ? {} : { executable }) }, context),
  );
  context.log.info({ signal: await stopping }, 'stopping; what is installed stays');
  await daemon.stop();
}
