import { type Command, Option } from 'commander';
import { startAgent } from '../agent/agent.ts';
import { type InstallerOptions, installerSchema, latestVersion } from '../cni-plugin/index.ts';
import { systemRunner } from '../kernel/command-runner.ts';
import { createEventRecorder } from '../kube/events.ts';
import { daemonCommand, withCluster } from './daemon-command.ts';
import { address, cidrs, repeatable, wholeNumber } from './flags.ts';

interface AgentFlags {
  readonly kubeconfig: string;
  readonly nodeName: string;
  readonly controlSocket: string;
  readonly clusterCidr: readonly string[];
  readonly clusterDomain: string;
  readonly dnsListenAddress: readonly string[];
  readonly cniConfDir: string;
  readonly cniBinDir: string;
  readonly cniStateDir: string;
  readonly cniVersion: InstallerOptions['cniVersion'];
  readonly mtu: number;
  readonly holdTime: number;
  readonly restartTime: number;
}

/** `podwire agent`: all network daemons of one node in one process. */
export const command = (): Command =>
  daemonCommand<AgentFlags>(
    'agent',
    'run the network daemons of one node: CNI installer, BGP, service proxy, policies, DNS',
    10_256,
    configure,
    (flags, context) =>
      withCluster(flags, context, `podwire-agent/${flags.nodeName}`, ({ cluster, client }) =>
        startAgent(
          {
            nodeName: flags.nodeName,
            controlSocket: flags.controlSocket,
            clusterCIDRs: flags.clusterCidr,
            clusterDomain: flags.clusterDomain,
            dnsListenAddresses: flags.dnsListenAddress,
            cni: {
              confDir: flags.cniConfDir,
              binDir: flags.cniBinDir,
              stateDir: flags.cniStateDir,
              mtu: flags.mtu,
              cniVersion: flags.cniVersion,
            },
            bgp: { holdTime: flags.holdTime, restartTime: flags.restartTime },
          },
          {
            cluster,
            runner: systemRunner,
            events: createEventRecorder({ ...context, client, component: 'podwire-agent', host: flags.nodeName }),
          },
          context,
        ),
      ),
  );

function configure(command: Command): void {
  command
    .requiredOption('--kubeconfig <file>', 'how to reach the API server')
    .requiredOption('--node-name <name>', 'name of the Node object of this machine')
    .requiredOption('--dns-listen-address <address>', 'address that the DNS server answers on; repeatable', repeatable(address), [])
    .requiredOption('--cluster-cidr <cidrs>', 'pod CIDRs of the cluster, one or several of each family, with a comma between', cidrs)
    .option('--control-socket <path>', 'unix socket of the control API', '/run/podwire/agent.sock')
    .option('--cluster-domain <domain>', 'the zone that DNS answers from the cluster', 'cluster.local')
    .option('--cni-conf-dir <dir>', 'where the container runtime looks for network configurations', '/etc/cni/net.d')
    .option('--cni-bin-dir <dir>', 'where it looks for plugins', '/opt/cni/bin')
    .option('--cni-state-dir <dir>', 'where address reservations are kept', '/var/lib/cni/podwire')
    .addOption(
      new Option('--cni-version <version>', 'version of the CNI specification to declare; containerd 1.6 knows up to 1.0.0')
        .choices(installerSchema.properties.cniVersion.anyOf.map((version) => version.const))
        .default(latestVersion),
    )
    .option('--mtu <bytes>', 'MTU of pods and bridge', wholeNumber(1_280, 65_535, 'bytes'), 1_500)
    .option('--hold-time <seconds>', 'BGP hold time (RFC 4271)', wholeNumber(3, 65_535, 'seconds'), 90)
    .option(
      '--restart-time <seconds>',
      'how long peers keep our routes while we restart (RFC 4724)',
      wholeNumber(0, 4_095, 'seconds'),
      120,
    );
}
