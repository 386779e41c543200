/** What an agent has to be told; everything else it reads from the API. */
export interface AgentOptions {
  readonly nodeName: string;
  /** Path of the control API's unix socket. */
  readonly controlSocket: string;
  /** Pod CIDRs of the whole cluster, one of each family. */
  readonly clusterCIDRs: readonly string[];
  readonly clusterDomain: string;
  readonly dnsListenAddresses: readonly string[];
  readonly cni: { readonly confDir: string; readonly binDir: string; readonly stateDir: string; readonly mtu: number };
  /** Seconds. */
  readonly bgp: { readonly holdTime: number; readonly restartTime: number };
}
