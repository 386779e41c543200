import { parsePrefix } from '../net/index.ts';

import type { InstallerOptions } from '../cni-plugin/index.ts';

/** What an agent has to be told; everything else it reads from the API. */
export interface AgentOptions {
  readonly nodeName: string;
  /** Path of the control API's unix socket. */
  readonly controlSocket: string;
  /** Pod CIDRs of the whole cluster, one or several of each family. */
  readonly clusterCIDRs: readonly string[];
  readonly clusterDomain: string;
  readonly dnsListenAddresses: readonly string[];
  readonly cni: {
    readonly confDir: string;
    readonly binDir: string;
    readonly stateDir: string;
    readonly mtu: number;
    /** Version of the CNI specification that the network configuration declares. */
    readonly cniVersion: InstallerOptions['cniVersion'];
  };
  /** Seconds. */
  readonly bgp: { readonly holdTime: number; readonly restartTime: number };
}

/**
 * How the service proxy tells pods from others: by the cluster's pod CIDR, as long as there is one of each family, else by the node's own, of
 * which there is always one. Both are right about pods of this node, which are those whose traffic it sees first.
 */
export const podTraffic = (clusterCIDRs: readonly string[]): { clusterCIDRs: string[] } | { detectLocalMode: 'NodeCIDR' } =>
  new Set(clusterCIDRs.map((text) => parsePrefix(text).family)).size === clusterCIDRs.length
    ? { clusterCIDRs: [...clusterCIDRs] }
    : { detectLocalMode: 'NodeCIDR' };
