import { stringify } from 'yaml';
import { printDuration } from '../../objects/client.ts';
import type { ProxyOptions } from '../options.ts';
import { configurationVersion } from './read.ts';

/** What a configuration holds beside the proxy's options. */
export interface ServerSettings {
  readonly kubeconfig: string;
  /** `127.0.0.1:10256` */
  readonly healthzBindAddress: string;
  readonly metricsBindAddress: string;
}

/** The options as a KubeProxyConfiguration, as `--write-config-to` writes it and /configz serves it. */
export function configurationOf(options: ProxyOptions, server: ServerSettings): Record<string, unknown> {
  const periods = { minSyncPeriod: printDuration(options.minSyncPeriod), syncPeriod: printDuration(options.syncPeriod) };
  const masquerading = { masqueradeAll: options.masqueradeAll, masqueradeBit: options.masqueradeBit };
  const { conntrack } = options;
  return {
    apiVersion: configurationVersion,
    kind: 'KubeProxyConfiguration',
    clientConnection: { kubeconfig: server.kubeconfig },
    clusterCIDR: options.clusterCIDRs.join(','),
    conntrack: {
      maxPerCore: conntrack.maxPerCore,
      min: conntrack.min,
      tcpBeLiberal: conntrack.tcpBeLiberal,
      tcpCloseWaitTimeout: printDuration(conntrack.tcpCloseWaitTimeout),
      tcpEstablishedTimeout: printDuration(conntrack.tcpEstablishedTimeout),
      udpStreamTimeout: printDuration(conntrack.udpStreamTimeout),
      udpTimeout: printDuration(conntrack.udpTimeout),
    },
    detectLocal: { bridgeInterface: options.podBridgeInterface, interfaceNamePrefix: options.podInterfaceNamePrefix },
    detectLocalMode: options.detectLocalMode,
    healthzBindAddress: server.healthzBindAddress,
    hostnameOverride: options.nodeName,
    iptables: { localhostNodePorts: options.localhostNodePorts, ...masquerading, ...periods },
    ipvs: {
      excludeCIDRs: options.ipvsExcludeCIDRs,
      scheduler: options.ipvsScheduler,
      strictARP: options.ipvsStrictARP,
      tcpFinTimeout: printDuration(options.ipvsTCPFinTimeout),
      tcpTimeout: printDuration(options.ipvsTCPTimeout),
      udpTimeout: printDuration(options.ipvsUDPTimeout),
      ...periods,
    },
    metricsBindAddress: server.metricsBindAddress,
    mode: options.mode,
    nftables: { ...masquerading, ...periods },
    nodePortAddresses: options.nodePortAddresses,
  };
}

/** The same as YAML. */
export const printConfiguration = (options: ProxyOptions, server: ServerSettings): string => stringify(configurationOf(options, server));
