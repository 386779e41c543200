import { readFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { startControllers } from '../controllers/daemon.ts';
import { type ControllersOptions, controllersOptions } from '../controllers/index.ts';
import { daemonCommand, withCluster } from './daemon-command.ts';
import { booleanOption, cidrs, durationOption, wholeNumber } from './flags.ts';

interface Flags {
  readonly kubeconfig: string;
  readonly clusterCidr: string[];
  readonly serviceClusterIpRange: string[];
  readonly nodeCidrMaskSizeIpv4: number;
  readonly nodeCidrMaskSizeIpv6: number;
  readonly nodeMonitorGracePeriod: number;
  readonly leaderElect: boolean;
  readonly leaderElectLeaseDuration: number;
  readonly leaderElectRenewDeadline: number;
  readonly leaderElectRetryPeriod: number;
  readonly rootCaFile?: string;
  readonly serviceAccountPrivateKeyFile?: string;
  readonly terminatedPodGcThreshold: number;
  readonly loadBalancerPool: string[];
  readonly loadBalancerClass: string;
}

export const command = (): Command =>
  daemonCommand<Flags>('controllers', 'Runs the controllers and the scheduler of a cluster.', 10257, configure, async (flags, context) => {
    // Before anything is connected: what is wrong with the flags is told at once.
    const options = controllersOptions(fromFlags(flags));
    const { ranges: _ranges, pools: _pools, ...given } = options;
    return withCluster(flags, context, 'podwire-controllers', (connection) => startControllers(given, connection, context));
  });

function configure(command: Command): void {
  const ranges = (name: string, description: string, initial: string): Option =>
    new Option(`${name} <cidrs>`, description).argParser(cidrs).default(cidrs(initial), initial);
  command
    .requiredOption('--kubeconfig <file>', 'how to reach the API server')
    .addOption(
      ranges(
        '--cluster-cidr',
        'ranges that nodes get their pod CIDRs from, one or several of each family',
        '10.244.0.0/16,fd00:10:244::/56',
      ),
    )
    .addOption(
      ranges('--service-cluster-ip-range', 'ranges of service cluster IPs, at most one of each family', '10.96.0.0/16,fd00:10:96::/112'),
    )
    .option('--node-cidr-mask-size-ipv4 <bits>', "prefix length of a node's IPv4 pod CIDR", wholeNumber(1, 30, 'a prefix length'), 24)
    .option('--node-cidr-mask-size-ipv6 <bits>', "prefix length of a node's IPv6 pod CIDR", wholeNumber(1, 126, 'a prefix length'), 64)
    .addOption(durationOption('--node-monitor-grace-period <duration>', 'how long a node may be silent before it counts as gone', '10s'))
    .addOption(booleanOption('--leader-elect', 'act only while holding the lease kube-system/podwire-controllers', true))
    .addOption(
      durationOption('--leader-elect-lease-duration <duration>', 'others take over this long after the last renewal they saw', '15s'),
    )
    .addOption(
      durationOption('--leader-elect-renew-deadline <duration>', 'the leader gives up when it could not renew for this long', '10s'),
    )
    .addOption(durationOption('--leader-elect-retry-period <duration>', 'time between two tries to acquire or renew', '2s'))
    .option(
      '--terminated-pod-gc-threshold <count>',
      'how many pods that have ended are kept; 0 keeps all',
      wholeNumber(0, 10_000_000, 'a number of pods'),
      12_500,
    )
    .option(
      '--load-balancer-pool <range>',
      'CIDR or FIRST-LAST that Services of type LoadBalancer get addresses from; may be given again (default: none)',
      (text: string, before: string[]) => [...before, ...text.split(',').map((part) => part.trim())],
      [],
    )
    .option(
      '--load-balancer-class <name>',
      'the spec.loadBalancerClass that the pools serve, besides Services without one',
      'podwire.io/pool',
    )
    .option(
      '--service-account-private-key-file <file>',
      'PEM key that signs the tokens of Secrets of type kubernetes.io/service-account-token (default: such Secrets stay empty)',
    )
    .option('--root-ca-file <file>', 'PEM file published in every namespace as the ConfigMap kube-root-ca.crt');
}

const fromFlags = (flags: Flags): Partial<ControllersOptions> => ({
  clusterCidrs: flags.clusterCidr,
  serviceCidrs: flags.serviceClusterIpRange,
  nodeMaskSizeIPv4: flags.nodeCidrMaskSizeIpv4,
  nodeMaskSizeIPv6: flags.nodeCidrMaskSizeIpv6,
  nodeMonitorGracePeriod: flags.nodeMonitorGracePeriod,
  leaderElect: flags.leaderElect,
  leaseDuration: flags.leaderElectLeaseDuration,
  renewDeadline: flags.leaderElectRenewDeadline,
  retryPeriod: flags.leaderElectRetryPeriod,
  terminatedPodThreshold: flags.terminatedPodGcThreshold,
  loadBalancerPools: flags.loadBalancerPool,
  loadBalancerClass: flags.loadBalancerClass,
  ...(flags.serviceAccountPrivateKeyFile === undefined
    ? {}
    : { serviceAccountPrivateKey: readFileSync(flags.serviceAccountPrivateKeyFile, 'utf8') }),
  ...(flags.rootCaFile === undefined ? {} : { rootCertificate: readCertificate(flags.rootCaFile) }),
});

function readCertificate(file: string): string {
  const text = readFileSync(file, 'utf8');
  if (!text.includes('-----BEGIN CERTIFICATE-----')) throw new Error(`--root-ca-file ${file}: holds no PEM certificate`);
  return text;
}
