import type { Address, Family, Protocol } from '../net/index.ts';
import type { PodEndpoint } from './input.ts';
import type { Range } from './ranges.ts';

export type Direction = 'ingress' | 'egress';

/** Who may be at the other end: pods picked by selectors, or a block of addresses. */
export type Peer =
  /** `key` says what was selected, not who: equal keys have equal members. */
  | { readonly kind: 'pods'; readonly key: string; readonly pods: readonly PodEndpoint[] }
  /** `ranges` is what the exceptions of this very block leave of it. */
  | { readonly kind: 'block'; readonly key: string; readonly family: Family; readonly ranges: readonly Range[] };

export type PortMatch =
  /** All ports of the protocol, or those from first to last. */
  | { readonly kind: 'protocol'; readonly protocol: Protocol }
  | { readonly kind: 'numbers'; readonly protocol: Protocol; readonly first: number; readonly last: number }
  /** The port that the destination pod calls so; each pod may have another number. */
  | { readonly kind: 'name'; readonly protocol: Protocol; readonly name: string };

/** One item of `ingress` or `egress`: the peer must be one of the peers and the port one of the ports. */
export interface PolicyRule {
  readonly peers: 'any' | readonly Peer[];
  readonly ports: 'any' | readonly PortMatch[];
}

export interface CompiledPolicy {
  /** `namespace/name`. */
  readonly id: string;
  /** Undefined: the policy does not isolate in this direction. */
  readonly ingress: readonly PolicyRule[] | undefined;
  readonly egress: readonly PolicyRule[] | undefined;
  /** Ids of the pods of this node that it selects, in order. */
  readonly selects: readonly string[];
}

/** A pod of this node that is isolated, and the policies (by id, in order) that open something in each direction. */
export interface IsolatedPod {
  readonly id: string;
  readonly addresses: readonly Address[];
  /** Undefined: not isolated in this direction. */
  readonly ingress: readonly string[] | undefined;
  readonly egress: readonly string[] | undefined;
}

/** What this node has to enforce. */
export interface NetpolModel {
  /** Isolated pods of this node, by id in order. */
  readonly pods: readonly IsolatedPod[];
  /** The policies that select a pod of this node, by id in order. */
  readonly policies: readonly CompiledPolicy[];
  /** All pods of the cluster, for named ports. */
  readonly endpoints: readonly PodEndpoint[];
}
