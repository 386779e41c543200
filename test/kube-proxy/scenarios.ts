import type { ProxyOptionsInput } from '../../src/kube-proxy/index.ts';
import type { Protocol } from '../../src/net/index.ts';
import type { Endpoint, Service } from '../../src/objects/index.ts';

/** Who sends: a pod of this node, a pod elsewhere, the node itself, an outsider, an outsider within the allowed source range. */
type Origin = 'pod' | 'otherPod' | 'node' | 'outsider' | 'allowed' | 'backend';
type Destination = 'clusterIP' | 'externalIP' | 'loadBalancerIP' | 'nodeIP' | 'secondIP' | 'localhost' | 'proxyModeIP';

export interface Scenario {
  readonly title: string;
  readonly spec?: Partial<Service['spec']>;
  readonly labels?: Record<string, string>;
  readonly zone?: string;
  readonly options?: Partial<ProxyOptionsInput>;
  /** Default: one ready on this node, two on another. */
  readonly endpoints?: readonly Backing[];
  readonly from: Origin;
  readonly to: Destination;
  /** Default 80. */
  readonly port?: number;
  readonly protocol?: Protocol;
  readonly outcome: 'dnat' | 'accept' | 'drop' | 'reject';
  /** By index of `endpoints`. */
  readonly backends?: readonly number[];
  readonly masquerade?: boolean;
  /** Where mode nftables differs, as kube-proxy's does. */
  readonly nftables?: Pick<Scenario, 'outcome' | 'backends' | 'masquerade'>;
  /** Only in this family. */
  readonly only?: 4 | 6;
}

export interface Backing {
  readonly here: boolean;
  readonly state?: 'ready' | 'unready' | 'serving-terminating' | 'terminating';
  readonly zone?: string;
  readonly hints?: Endpoint['hints'];
}

const here: Backing = { here: true };
const there: Backing = { here: false };
const nodePort: Partial<Service['spec']> = { type: 'NodePort', ports: [{ name: 'http', port: 80, protocol: 'TCP', nodePort: 30_080 }] };
const balancer: Partial<Service['spec']> = { ...nodePort, type: 'LoadBalancer' };
const range = { loadBalancerSourceRanges: ['198.51.100.0/24', '2001:db8:51::/48'] };
const spec = (...parts: Partial<Service['spec']>[]): Partial<Service['spec']> => Object.assign({}, ...parts) as Partial<Service['spec']>;
const all = [0, 1, 2];
const hinted = (here: boolean, zone: string): Backing => ({ here, hints: { forZones: [{ name: zone }] } });

/** What a service proxy owes its users, row by row: the same rows hold for every backend. */
export const scenarios: readonly Scenario[] = [
  {
    title: 'pod to cluster IP: every endpoint, source kept',
    from: 'pod',
    to: 'clusterIP',
    outcome: 'dnat',
    backends: all,
    masquerade: false,
  },
  {
    title: 'pod of another node to cluster IP: source kept',
    from: 'otherPod',
    to: 'clusterIP',
    outcome: 'dnat',
    backends: all,
    masquerade: false,
  },
  { title: 'node to cluster IP', from: 'node', to: 'clusterIP', outcome: 'dnat', backends: all, masquerade: true },
  { title: 'outsider to cluster IP: masqueraded', from: 'outsider', to: 'clusterIP', outcome: 'dnat', backends: all, masquerade: true },
  {
    title: 'without a cluster CIDR nobody is masqueraded at the cluster IP',
    options: { clusterCIDRs: [] },
    from: 'outsider',
    to: 'clusterIP',
    outcome: 'dnat',
    backends: all,
    masquerade: false,
  },
  {
    title: 'masquerade-all takes pods too',
    options: { masqueradeAll: true },
    from: 'pod',
    to: 'clusterIP',
    outcome: 'dnat',
    backends: all,
    masquerade: true,
  },
  {
    title: 'a pod that reaches itself is masqueraded',
    endpoints: [here],
    from: 'backend',
    to: 'clusterIP',
    outcome: 'dnat',
    backends: [0],
    masquerade: true,
  },
  {
    title: 'UDP has the same rules',
    spec: { ports: [{ name: 'http', port: 80, protocol: 'UDP' }] },
    protocol: 'UDP',
    from: 'pod',
    to: 'clusterIP',
    outcome: 'dnat',
    backends: all,
    masquerade: false,
  },
  {
    title: 'SCTP has the same rules',
    spec: { ports: [{ name: 'http', port: 80, protocol: 'SCTP' }] },
    protocol: 'SCTP',
    from: 'pod',
    to: 'clusterIP',
    outcome: 'dnat',
    backends: all,
    masquerade: false,
  },
  {
    title: 'UDP to a port that is only TCP is not touched',
    protocol: 'UDP',
    from: 'pod',
    to: 'clusterIP',
    outcome: 'accept',
    nftables: { outcome: 'reject' },
  },
  {
    title: 'a port that the service has not is not touched',
    port: 81,
    from: 'pod',
    to: 'clusterIP',
    outcome: 'accept',
    nftables: { outcome: 'reject' },
  },
  { title: 'no endpoints: refused at the cluster IP', endpoints: [], from: 'pod', to: 'clusterIP', outcome: 'reject' },
  { title: 'no endpoints: refused for the node too', endpoints: [], from: 'node', to: 'clusterIP', outcome: 'reject' },
  {
    title: 'no endpoints: refused at the node port',
    spec: nodePort,
    endpoints: [],
    from: 'outsider',
    to: 'nodeIP',
    port: 30_080,
    outcome: 'reject',
  },
  {
    title: 'no endpoints: refused at the load balancer',
    spec: balancer,
    endpoints: [],
    from: 'outsider',
    to: 'loadBalancerIP',
    outcome: 'reject',
  },
  {
    title: 'no endpoints: refused at an external IP',
    spec: { externalIPs: ['203.0.113.7', '2001:db8::7'] },
    endpoints: [],
    from: 'outsider',
    to: 'externalIP',
    outcome: 'reject',
  },
  {
    title: 'no endpoints: the node is refused at an external IP',
    spec: { externalIPs: ['203.0.113.7', '2001:db8::7'] },
    endpoints: [],
    from: 'node',
    to: 'externalIP',
    outcome: 'reject',
  },
  {
    title: 'outsider to node port',
    spec: nodePort,
    from: 'outsider',
    to: 'nodeIP',
    port: 30_080,
    outcome: 'dnat',
    backends: all,
    masquerade: true,
  },
  { title: 'pod to node port', spec: nodePort, from: 'pod', to: 'nodeIP', port: 30_080, outcome: 'dnat', backends: all, masquerade: true },
  {
    title: 'node to its own node port',
    spec: nodePort,
    from: 'node',
    to: 'nodeIP',
    port: 30_080,
    outcome: 'dnat',
    backends: all,
    masquerade: true,
  },
  {
    title: 'node port on an address outside of nodeport-addresses is not served',
    spec: nodePort,
    options: { nodePortAddresses: ['192.168.88.0/24', 'fd00:88::/64'] },
    from: 'outsider',
    to: 'secondIP',
    port: 30_080,
    outcome: 'accept',
  },
  {
    title: 'node port on the primary address is',
    spec: nodePort,
    options: { nodePortAddresses: ['primary'] },
    from: 'outsider',
    to: 'nodeIP',
    port: 30_080,
    outcome: 'dnat',
    backends: all,
    masquerade: true,
  },
  {
    title: 'node port on 127.0.0.1',
    spec: nodePort,
    from: 'node',
    to: 'localhost',
    port: 30_080,
    outcome: 'dnat',
    backends: all,
    masquerade: true,
    nftables: { outcome: 'accept' },
    only: 4,
  },
  {
    title: 'node port on 127.0.0.1 can be switched off',
    spec: nodePort,
    options: { localhostNodePorts: false },
    from: 'node',
    to: 'localhost',
    port: 30_080,
    outcome: 'accept',
    only: 4,
  },
  { title: 'node port on ::1 never answers', spec: nodePort, from: 'node', to: 'localhost', port: 30_080, outcome: 'accept', only: 6 },
  {
    title: 'others cannot reach 127.0.0.1',
    from: 'outsider',
    to: 'localhost',
    port: 22,
    outcome: 'drop',
    nftables: { outcome: 'accept' },
    only: 4,
  },
  {
    title: 'load balancer with ipMode VIP is served here',
    spec: balancer,
    from: 'pod',
    to: 'loadBalancerIP',
    outcome: 'dnat',
    backends: all,
    masquerade: true,
  },
  { title: 'load balancer with ipMode Proxy leaves the node', spec: balancer, from: 'pod', to: 'proxyModeIP', outcome: 'accept' },
  {
    title: 'external IP',
    spec: { externalIPs: ['203.0.113.7', '2001:db8::7'] },
    from: 'outsider',
    to: 'externalIP',
    outcome: 'dnat',
    backends: all,
    masquerade: true,
  },
  {
    title: 'source range: allowed',
    spec: spec(balancer, range),
    from: 'allowed',
    to: 'loadBalancerIP',
    outcome: 'dnat',
    backends: all,
    masquerade: true,
  },
  { title: 'source range: dropped, not refused', spec: spec(balancer, range), from: 'outsider', to: 'loadBalancerIP', outcome: 'drop' },
  {
    title: 'source range: does not hold for the node port',
    spec: spec(balancer, range),
    from: 'outsider',
    to: 'nodeIP',
    port: 30_080,
    outcome: 'dnat',
    backends: all,
    masquerade: true,
  },
  {
    title: 'external policy Local: source kept, this node only',
    spec: spec(nodePort, { externalTrafficPolicy: 'Local' }),
    from: 'outsider',
    to: 'nodeIP',
    port: 30_080,
    outcome: 'dnat',
    backends: [0],
    masquerade: false,
  },
  {
    title: 'external policy Local without local endpoint: outsiders dropped',
    spec: spec(nodePort, { externalTrafficPolicy: 'Local' }),
    endpoints: [there],
    from: 'outsider',
    to: 'nodeIP',
    port: 30_080,
    outcome: 'drop',
  },
  {
    title: 'external policy Local without local endpoint: pods are served',
    spec: spec(nodePort, { externalTrafficPolicy: 'Local' }),
    endpoints: [there],
    from: 'pod',
    to: 'nodeIP',
    port: 30_080,
    outcome: 'dnat',
    backends: [0],
    masquerade: false,
  },
  {
    title: 'external policy Local without local endpoint: the node is served',
    spec: spec(nodePort, { externalTrafficPolicy: 'Local' }),
    endpoints: [there],
    from: 'node',
    to: 'nodeIP',
    port: 30_080,
    outcome: 'dnat',
    backends: [0],
    masquerade: true,
  },
  {
    title: 'external policy Local does not hold for the cluster IP',
    spec: spec(nodePort, { externalTrafficPolicy: 'Local' }),
    endpoints: [there],
    from: 'pod',
    to: 'clusterIP',
    outcome: 'dnat',
    backends: [0],
    masquerade: false,
  },
  {
    title: 'internal policy Local: this node only',
    spec: { internalTrafficPolicy: 'Local' },
    from: 'pod',
    to: 'clusterIP',
    outcome: 'dnat',
    backends: [0],
    masquerade: false,
  },
  {
    title: 'internal policy Local without local endpoint: dropped',
    spec: { internalTrafficPolicy: 'Local' },
    endpoints: [there],
    from: 'pod',
    to: 'clusterIP',
    outcome: 'drop',
  },
  {
    title: 'ready endpoints come before terminating ones',
    endpoints: [{ here: true, state: 'serving-terminating' }, there],
    from: 'pod',
    to: 'clusterIP',
    outcome: 'dnat',
    backends: [1],
    masquerade: false,
  },
  {
    title: 'only terminating endpoints that serve: used',
    endpoints: [
      { here: true, state: 'serving-terminating' },
      { here: false, state: 'unready' },
    ],
    from: 'pod',
    to: 'clusterIP',
    outcome: 'dnat',
    backends: [0],
    masquerade: false,
  },
  {
    title: 'only terminating endpoints that serve no longer: refused',
    endpoints: [{ here: true, state: 'terminating' }],
    from: 'pod',
    to: 'clusterIP',
    outcome: 'reject',
  },
  {
    title: 'zone hints are followed',
    zone: 'a',
    endpoints: [hinted(true, 'a'), hinted(false, 'b'), hinted(false, 'a')],
    from: 'pod',
    to: 'clusterIP',
    outcome: 'dnat',
    backends: [0, 2],
    masquerade: false,
  },
  {
    title: 'one missing hint: all endpoints',
    zone: 'a',
    endpoints: [hinted(true, 'a'), hinted(false, 'b'), there],
    from: 'pod',
    to: 'clusterIP',
    outcome: 'dnat',
    backends: all,
    masquerade: false,
  },
  {
    title: 'a service of another proxy is not touched',
    labels: { 'service.kubernetes.io/service-proxy-name': 'x' },
    from: 'pod',
    to: 'clusterIP',
    outcome: 'accept',
  },
  {
    title: 'what comes over the pod bridge is local with BridgeInterface',
    options: { detectLocalMode: 'BridgeInterface', podBridgeInterface: 'podwire0' },
    from: 'pod',
    to: 'clusterIP',
    outcome: 'dnat',
    backends: all,
    masquerade: false,
  },
  {
    title: 'what comes over another link is not',
    options: { detectLocalMode: 'InterfaceNamePrefix', podInterfaceNamePrefix: 'podwire' },
    from: 'otherPod',
    to: 'clusterIP',
    outcome: 'dnat',
    backends: all,
    masquerade: true,
  },
];
