import type { Family, Protocol } from '../net/index.ts';

// The neutral model: what each service port shall do on this node, in one family. Renderers and the explanation of a packet read only this.

export interface ProxyModel {
  readonly family: Family;
  /** Ordered by name, then protocol. */
  readonly services: readonly ServicePortModel[];
  /** Services without rules, and why. */
  readonly skipped: readonly { readonly service: string; readonly reason: string }[];
  /** What could not be programmed. */
  readonly problems: readonly ProxyProblem[];
}

export interface ProxyProblem {
  /** Such as `Service default/web`. */
  readonly object: string;
  /** Such as `spec.externalIPs[0]`. */
  readonly field: string;
  readonly reason: string;
}

export type TrafficPolicy = 'Cluster' | 'Local';

export interface ServicePortModel {
  /** `namespace/name:port`, or `namespace/name` for an unnamed port: kube-proxy's ServicePortName, of which chain names are made. */
  readonly name: string;
  /** `namespace/name`. */
  readonly service: string;
  readonly protocol: Protocol;
  readonly port: number;
  readonly clusterIP: string;
  readonly nodePort: number | undefined;
  readonly externalIPs: readonly string[];
  /** status.loadBalancer addresses with ipMode VIP. */
  readonly loadBalancerIPs: readonly string[];
  /** Who may use the load-balancer addresses; empty allows all. */
  readonly sourceRanges: readonly string[];
  /** This node's own address is in a source range, so that traffic from the node by way of the address is let in too. */
  readonly sourceRangesHoldNode: boolean;
  readonly healthCheckNodePort: number | undefined;
  /** Seconds a client keeps its endpoint after its last connection; undefined without session affinity. */
  readonly affinitySeconds: number | undefined;
  readonly internalPolicy: TrafficPolicy;
  readonly externalPolicy: TrafficPolicy;
  /** Has a node port, an external IP or a load-balancer address. */
  readonly external: boolean;
  /** Every endpoint known, used or not. */
  readonly endpoints: readonly EndpointModel[];
  /** What traffic under policy Cluster uses. */
  readonly clusterBackends: readonly Backend[];
  /** What traffic under policy Local uses. */
  readonly localBackends: readonly Backend[];
  /** Both, without duplicates. */
  readonly backends: readonly Backend[];
  /** Some endpoint somewhere could serve, even if the policy keeps this node from using it. */
  readonly hasEndpoints: boolean;
  /** IPVS only: how the service wants its connections spread, where it says so. */
  readonly scheduler?: string;
  readonly schedulerFlags?: readonly string[];
  /** IPVS only: at its external addresses endpoints answer past this node, and get the packet as it is, by a tunnel or by their MAC. */
  readonly directReturn?: 'tunnel' | 'droute';
}

/** Every address that the port is served at by its own number: for insiders, then for outsiders. */
export const addressesOf = ({ clusterIP, externalIPs, loadBalancerIPs }: ServicePortModel): string[] => [
  clusterIP,
  ...externalIPs,
  ...loadBalancerIPs,
];

export interface Backend {
  readonly address: string;
  readonly port: number;
  /** `address:port` or `[address]:port`. */
  readonly text: string;
}

export interface EndpointModel extends Backend {
  readonly nodeName: string | undefined;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  /** On this node. */
  readonly local: boolean;
  readonly hintedZones: readonly string[];
  readonly hintedNodes: readonly string[];
  readonly underCluster: EndpointReason;
  readonly underLocal: EndpointReason;
}

/** Why an endpoint is in the set of a policy, or not. */
export type EndpointReason = keyof typeof endpointReasons;

export const endpointReasons = {
  'used-ready': 'ready',
  'used-hinted-zone': "ready and hinted for this node's zone",
  'used-hinted-node': 'ready and hinted for this node',
  'used-terminating': 'terminating but still serving, and nothing is ready (KEP-1669)',
  'not-ready': 'not ready',
  'not-serving': 'terminating and no longer serving',
  'not-needed': 'terminating, and there are ready endpoints',
  'other-zone': "hinted for other zones than this node's",
  'other-node-hint': 'hinted for other nodes',
  'other-node': 'on another node',
  'policy-unused': 'no traffic of this service follows this policy',
} as const;

export const isUsed = (reason: EndpointReason): boolean => reason.startsWith('used-');
