import { hostname } from 'node:os';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { ProxyOptionsInput, ProxySettings } from '../kube-proxy/index.ts';
import { booleanOption, durationOption, list, wholeNumber } from './flags.ts';
import { useConfigurationFile } from './proxy-configuration.ts';

export interface ProxyFlags {
  /** A KubeProxyConfiguration. */
  readonly config?: string;
  /** What `config` says, once it was read. */
  readonly fromFile?: ProxySettings;
  readonly kubeconfig?: string;
  readonly nodeName?: string;
  readonly hostnameOverride?: string;
  readonly proxyMode: NonNullable<ProxyOptionsInput['mode']>;
  readonly nftablesLayout: NonNullable<ProxyOptionsInput['nftablesLayout']>;
  readonly iptablesDispatch: NonNullable<ProxyOptionsInput['iptablesDispatch']>;
  readonly serviceCidr: string[];
  readonly clusterCidr: string[];
  readonly detectLocalMode: NonNullable<ProxyOptionsInput['detectLocalMode']>;
  readonly podBridgeInterface: string;
  readonly podInterfaceNamePrefix: string;
  readonly masqueradeAll: boolean;
  readonly iptablesMasqueradeBit: number;
  readonly nodeportAddresses: string[];
  readonly iptablesLocalhostNodeports: boolean;
  readonly iptablesMinSyncPeriod: number;
  readonly iptablesSyncPeriod: number;
  readonly iptablesVariant: NonNullable<ProxyOptionsInput['iptables']>;
  readonly ipFamilies: ('IPv4' | 'IPv6')[];
  readonly ipvsScheduler: string;
  readonly ipvsExcludeCidrs: string[];
  readonly ipvsStrictArp: boolean;
  readonly ipvsTcpTimeout: number;
  readonly ipvsTcpfinTimeout: number;
  readonly ipvsUdpTimeout: number;
  readonly ipvsGracefulPeriod: number;
  readonly ipvsMinSyncPeriod: number;
  readonly ipvsSyncPeriod: number;
  readonly conntrackMaxPerCore: number;
  readonly conntrackMin: number;
  readonly conntrackTcpTimeoutEstablished: number;
  readonly conntrackTcpTimeoutCloseWait: number;
  readonly conntrackTcpBeLiberal: boolean;
  readonly conntrackUdpTimeout: number;
  readonly conntrackUdpTimeoutStream: number;
}

/** The flags that say which node, and how its kernel is programmed. */
export function configureProxy(command: Command): void {
  useConfigurationFile(command);
  command
    .option('--config <file>', 'a KubeProxyConfiguration; what it can say is then not taken from other flags')
    .option('--kubeconfig <file>', 'how to reach the API server')
    .option('--node-name <name>', 'name of the Node object of this machine (default: its host name)')
    .option('--hostname-override <name>', "the same, by kube-proxy's name")
    .addOption(new Option('--proxy-mode <mode>', 'how to program the kernel').choices(['iptables', 'ipvs', 'nftables']).default('iptables'))
    .addOption(
      new Option('--nftables-layout <layout>', "data in maps alone, or kube-proxy's chains").choices(['fast', 'compat']).default('fast'),
    )
    .addOption(
      new Option('--iptables-dispatch <layout>', "kube-proxy's one chain of services, or chains for blocks of addresses (iptables)")
        .choices(['flat', 'bucketed'])
        .default('flat'),
    )
    .option('--service-cidr <cidrs>', 'CIDRs of cluster IPs, with a comma between: what no service has is dropped (nftables)', list, [])
    .option('--cluster-cidr <cidrs>', 'pod CIDRs of the cluster, one of each family, with a comma between', list, [])
    .addOption(
      new Option('--detect-local-mode <mode>', 'how pod traffic is told from that of outsiders')
        .choices(['ClusterCIDR', 'NodeCIDR', 'BridgeInterface', 'InterfaceNamePrefix'])
        .default('ClusterCIDR'),
    )
    .option('--pod-bridge-interface <link>', 'bridge of the pods, for BridgeInterface', '')
    .option('--pod-interface-name-prefix <prefix>', "first letters of pods' links, for InterfaceNamePrefix", '')
    .addOption(booleanOption('--masquerade-all', 'masquerade everything that goes to a cluster IP', false))
    .option('--iptables-masquerade-bit <bit>', 'bit of the packet mark that asks for masquerading', wholeNumber(0, 31, 'a bit'), 14)
    .option('--nodeport-addresses <cidrs>', 'addresses that serve node ports, or "primary" (default: all)', list, [])
    .addOption(booleanOption('--iptables-localhost-nodeports', 'serve IPv4 node ports on 127.0.0.1 too', true))
    .addOption(durationOption('--iptables-min-sync-period <duration>', 'least time between two syncs', '50ms'))
    .addOption(durationOption('--iptables-sync-period <duration>', 'how often the kernel is read and repaired', '30s'))
    .addOption(new Option('--iptables-variant <variant>', 'which iptables to drive').choices(['auto', 'nft', 'legacy']).default('auto'))
    .option('--ip-families <families>', 'families to program, with a comma between', families, ['IPv4', 'IPv6']);
  configureIpvs(command);
  configureConntrack(command);
}

function configureIpvs(command: Command): void {
  command
    .option('--ipvs-scheduler <scheduler>', 'how IPVS chooses an endpoint: rr, wrr, lc, wlc, sh, mh and others', 'rr')
    .option('--ipvs-exclude-cidrs <cidrs>', 'virtual servers in these CIDRs are left alone', list, [])
    .addOption(booleanOption('--ipvs-strict-arp', 'answer ARP only for addresses of the link asked on', false))
    .addOption(durationOption('--ipvs-tcp-timeout <duration>', 'of idle IPVS connections; 0 leaves it alone', '0s'))
    .addOption(durationOption('--ipvs-tcpfin-timeout <duration>', 'of IPVS connections after a FIN; 0 leaves it alone', '0s'))
    .addOption(durationOption('--ipvs-udp-timeout <duration>', 'of idle IPVS UDP flows; 0 leaves it alone', '0s'))
    .addOption(durationOption('--ipvs-graceful-period <duration>', 'how long connections to an endpoint that is gone may last', '15m'))
    .addOption(durationOption('--ipvs-min-sync-period <duration>', 'least time between two syncs, in mode ipvs', '50ms'))
    .addOption(durationOption('--ipvs-sync-period <duration>', 'how often the kernel is read and repaired, in mode ipvs', '30s'));
}

function configureConntrack(command: Command): void {
  const entries = wholeNumber(0, 0x7fff_ffff, 'a number of entries');
  command
    .option('--conntrack-max-per-core <entries>', 'entries of connection tracking for each core; 0 leaves the limit alone', entries, 32_768)
    .option('--conntrack-min <entries>', 'entries of connection tracking at least', entries, 131_072)
    .addOption(durationOption('--conntrack-tcp-timeout-established <duration>', 'of idle connections; 0 leaves it alone', '24h'))
    .addOption(durationOption('--conntrack-tcp-timeout-close-wait <duration>', 'of connections in CLOSE_WAIT; 0 leaves it alone', '1h'))
    .addOption(booleanOption('--conntrack-tcp-be-liberal', 'let packets out of their TCP window pass', false))
    .addOption(durationOption('--conntrack-udp-timeout <duration>', 'of UDP flows without an answer; 0 leaves it alone', '0s'))
    .addOption(durationOption('--conntrack-udp-timeout-stream <duration>', 'of UDP flows with answers; 0 leaves it alone', '0s'));
}

/** The proxy's options, as the configuration file and the flags have them. */
export function optionsOf(flags: ProxyFlags): ProxyOptionsInput {
  const { fromFile } = flags;
  return {
    ...optionsOfFlags(flags),
    ...fromFile?.options,
    nodeName: flags.nodeName ?? flags.hostnameOverride ?? fromFile?.options.nodeName ?? hostname().toLowerCase(),
  };
}

function optionsOfFlags(flags: ProxyFlags): Omit<ProxyOptionsInput, 'nodeName'> {
  return {
    mode: flags.proxyMode,
    nftablesLayout: flags.nftablesLayout,
    iptablesDispatch: flags.iptablesDispatch,
    serviceCIDRs: flags.serviceCidr,
    families: flags.ipFamilies,
    clusterCIDRs: flags.clusterCidr,
    detectLocalMode: flags.detectLocalMode,
    podBridgeInterface: flags.podBridgeInterface,
    podInterfaceNamePrefix: flags.podInterfaceNamePrefix,
    masqueradeAll: flags.masqueradeAll,
    masqueradeBit: flags.iptablesMasqueradeBit,
    nodePortAddresses: flags.nodeportAddresses,
    localhostNodePorts: flags.iptablesLocalhostNodeports,
    minSyncPeriod: flags.proxyMode === 'ipvs' ? flags.ipvsMinSyncPeriod : flags.iptablesMinSyncPeriod,
    syncPeriod: flags.proxyMode === 'ipvs' ? flags.ipvsSyncPeriod : flags.iptablesSyncPeriod,
    iptables: flags.iptablesVariant,
    ipvsScheduler: flags.ipvsScheduler,
    ipvsExcludeCIDRs: flags.ipvsExcludeCidrs,
    ipvsStrictARP: flags.ipvsStrictArp,
    ipvsTCPTimeout: flags.ipvsTcpTimeout,
    ipvsTCPFinTimeout: flags.ipvsTcpfinTimeout,
    ipvsUDPTimeout: flags.ipvsUdpTimeout,
    ipvsGracefulPeriod: flags.ipvsGracefulPeriod,
    conntrack: {
      maxPerCore: flags.conntrackMaxPerCore,
      min: flags.conntrackMin,
      tcpEstablishedTimeout: flags.conntrackTcpTimeoutEstablished,
      tcpCloseWaitTimeout: flags.conntrackTcpTimeoutCloseWait,
      tcpBeLiberal: flags.conntrackTcpBeLiberal,
      udpTimeout: flags.conntrackUdpTimeout,
      udpStreamTimeout: flags.conntrackUdpTimeoutStream,
    },
  };
}

function families(text: string): ('IPv4' | 'IPv6')[] {
  const names = list(text);
  if (names.length === 0 || names.some((name) => name !== 'IPv4' && name !== 'IPv6'))
    throw new InvalidArgumentError('Expected IPv4, IPv6 or IPv4,IPv6.');
  return [...new Set(names)] as ('IPv4' | 'IPv6')[];
}
