/** What `lab status` and the control API show of a node's network policies. Plain JSON. */
export interface NetpolReport {
  /** The nftables table. */
  readonly table: string;
  /** When the kernel last held what was wanted, milliseconds since the epoch; 0 before the first sync. */
  readonly lastSync: number;
  /** Why policies are not (fully) enforced now. */
  readonly problem?: string;
  /** The policies that select a pod of this node. */
  readonly policies: readonly {
    readonly namespace: string;
    readonly name: string;
    readonly directions: readonly ('ingress' | 'egress')[];
    /** Names of the pods of this node that it selects. */
    readonly pods: readonly string[];
  }[];
  /** Pods of this node isolated in each direction. */
  readonly isolated: { readonly ingress: number; readonly egress: number };
  /** Packets dropped since the table was made. */
  readonly drops: { readonly ingress: number; readonly egress: number };
}
