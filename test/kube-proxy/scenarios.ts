import type { ProxyOptionsInput } from '../../src/kube-proxy/index.ts';
import type { Protocol } from '../../src/net/index.ts';
import type { Endpoint, EndpointSlice, Service } from '../../src/objects/index.ts';

/**
 * Who sends: a pod of this node, a pod elsewhere, the node itself, the node with the load balancer's address as its source, an outsider,
 * an outsider within the allowed source range, the first endpoint.
 */
type Origin = 'pod' | 'otherPod' | 'node' | 'nodeAsBalancer' | 'outsider' | 'allowed' | 'backend';
type Destination = 'clusterIP' | 'unallocated' | 'externalIP' | 'loadBalancerIP' | 'nodeIP' | 'secondIP' | 'localhost' | 'proxyModeIP';

export interface Scenario {
  readonly title: string;
  readonly spec?: Partial<Service['spec']>;
  readonly labels?: Record<string, string>;
  readonly zone?: string;
  readonly options?: Partial<ProxyOptionsInput>;
  /** Default: one ready on this node, two on another. */
  readonly endpoints?: readonly Backing[];
  /** Default: `http`, 8080, with the scenario's protocol. */
  readonly slicePorts?: EndpointSlice['ports'];
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
  /** Where mode ipvs differs, and why. */
  readonly ipvs?: Pick<Scenario, 'outcome' | 'backends' | 'masquerade'> & { readonly because: string };
  /** Only in this family. */
  readonly only?: 4 | 6;
}

export interface Backing {
  readonly here: boolean;
  readonly state?: 'ready' | 'unready' | 'published' | 'serving-terminating' | 'terminating';
  /** Where its pod gives the port another number. */
  readonly port?: number;
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

/** What a service proxy owes its users, row by row: the same rows hold for every backend. One list, and so longer than other files. */
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
    ipvs: { outcome: 'reject', because: "service addresses are the node's own, and refuse what no service has" },
  },
  {
    title: 'a port that the service has not is not touched',
    port: 81,
    from: 'pod',
    to: 'clusterIP',
    outcome: 'accept',
    nftables: { outcome: 'reject' },
    ipvs: { outcome: 'reject', because: "service addresses are the node's own, and refuse what no service has" },
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
    ipvs: { outcome: 'accept', because: 'IPVS lets nothing from a loopback address out to an endpoint' },
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
    ipvs: { outcome: 'accept', because: 'route_localnet stays off, so that the kernel itself drops it before any rule' },
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
  ...(['pod', 'node'] as const).map(
    (from): Scenario => ({
      title: `external policy Local: the ${from} uses every endpoint`,
      spec: spec(nodePort, { externalTrafficPolicy: 'Local' }),
      from,
      to: 'nodeIP',
      port: 30_080,
      outcome: 'dnat',
      backends: all,
      masquerade: from === 'node',
      ipvs: { outcome: 'dnat', backends: [0], masquerade: from === 'node', because: 'a virtual server has one list for everybody' },
    }),
  ),
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
    title: 'a named port that has another number in each pod',
    endpoints: [here, { here: false, port: 9090 }, { here: false, port: 9091 }],
    from: 'pod',
    to: 'clusterIP',
    outcome: 'dnat',
    backends: all,
    masquerade: false,
  },
  ...(['TCP', 'UDP', 'SCTP'] as const).map(
    (protocol): Scenario => ({
      title: `TCP, UDP and SCTP on one port: ${protocol} finds its own endpoint port`,
      spec: {
        ports: [
          { name: 'web', port: 80, protocol: 'TCP' },
          { name: 'dns', port: 80, protocol: 'UDP' },
          { name: 'sig', port: 80, protocol: 'SCTP' },
        ],
      },
      slicePorts: [
        { name: 'web', port: 8080, protocol: 'TCP' },
        { name: 'dns', port: 9090, protocol: 'UDP' },
        { name: 'sig', port: 9091, protocol: 'SCTP' },
      ],
      protocol,
      from: 'pod',
      to: 'clusterIP',
      outcome: 'dnat',
      backends: all,
      masquerade: false,
    }),
  ),
  {
    title: 'a cluster IP that no service has leads out of the node, or nowhere',
    options: { serviceCIDRs: ['10.96.0.0/16', 'fd00:10:96::/112'] },
    from: 'pod',
    to: 'unallocated',
    outcome: 'accept',
    nftables: { outcome: 'drop' },
  },
  {
    title: "source range: the node with the balancer's address as its source is let in by its own address",
    spec: spec(balancer, { loadBalancerSourceRanges: ['192.168.88.0/24', 'fd00:88::/64'] }),
    from: 'nodeAsBalancer',
    to: 'loadBalancerIP',
    outcome: 'dnat',
    backends: all,
    masquerade: true,
  },
  {
    title: 'endpoints published though not ready are used',
    endpoints: [
      { here: true, state: 'published' },
      { here: false, state: 'published' },
    ],
    from: 'pod',
    to: 'clusterIP',
    outcome: 'dnat',
    backends: [0, 1],
    masquerade: false,
  },
  {
    title: 'a headless service has no rules',
    spec: { clusterIP: 'None', clusterIPs: ['None'] },
    from: 'pod',
    to: 'clusterIP',
    outcome: 'accept',
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
