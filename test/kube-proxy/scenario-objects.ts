import { compileProxy, nodeFacts, type ProxyOptionsInput, resolveProxyOptions } from '../../src/kube-proxy/index.ts';
import { joinHostPort } from '../../src/net/index.ts';
import type { Endpoint } from '../../src/objects/index.ts';
import { endpoint, node, service, slice } from './objects.ts';
import type { Backing, Scenario } from './scenarios.ts';

// The objects, addresses and options that a row of the scenario list stands for; the same for the model, the walk and real packets.

export type Family = 4 | 6;
const pick = (family: Family, v4: string, v6: string): string => (family === 4 ? v4 : v6);

export const destinations = {
  clusterIP: ['10.96.0.20', 'fd00:10:96::20'],
  unallocated: ['10.96.0.99', 'fd00:10:96::99'],
  externalIP: ['203.0.113.7', '2001:db8::7'],
  loadBalancerIP: ['203.0.113.9', '2001:db8::9'],
  proxyModeIP: ['203.0.113.10', '2001:db8::10'],
  nodeIP: ['192.168.88.12', 'fd00:88::12'],
  secondIP: ['10.244.1.1', 'fd00:10:244:1::1'],
  localhost: ['127.0.0.1', '::1'],
} as const;

/** Source addresses, and the link of the node that their packets come in by; none for the node's own processes. */
export const origins = {
  pod: ['10.244.1.77', 'fd00:10:244:1::77', 'podwire0'],
  otherPod: ['10.244.2.77', 'fd00:10:244:2::77', 'eth0'],
  backend: ['10.244.1.2', 'fd00:10:244:1::2', 'podwire0'],
  node: ['192.168.88.12', 'fd00:88::12', undefined],
  nodeAsBalancer: ['203.0.113.9', '2001:db8::9', undefined],
  outsider: ['192.0.2.5', '2001:db8:52::5', 'eth0'],
  allowed: ['198.51.100.5', '2001:db8:51::5', 'eth0'],
} as const;

const addressOfBacking = ({ here }: Backing, index: number, family: Family): string =>
  pick(family, `10.244.${here ? 1 : 2}.${index + 2}`, `fd00:10:244:${here ? 1 : 2}::${index + 2}`);

const defaultEndpoints: readonly Backing[] = [{ here: true }, { here: false }, { here: false }];

/** How the kernel is programmed. */
export const variants = [
  { mode: 'iptables' },
  { mode: 'nftables', nftablesLayout: 'fast' },
  { mode: 'nftables', nftablesLayout: 'compat' },
  { mode: 'ipvs' },
] as const satisfies readonly Partial<ProxyOptionsInput>[];
export type Variant = Pick<ProxyOptionsInput, 'mode' | 'nftablesLayout' | 'iptables'>;

/** The model, options and facts of a scenario, and what is wanted of it: `expected` are the endpoints by `address:port`. */
export function arrange(scenario: Scenario, family: Family, variant: Variant = { mode: 'iptables' }) {
  const { clusterIP, loadBalancerIP, proxyModeIP } = destinations;
  const backings = (scenario.endpoints ?? defaultEndpoints).map((backing, index) => ({
    ...backing,
    address: addressOfBacking(backing, index, family),
  }));
  const protocol = scenario.protocol ?? 'TCP';
  const slicePorts = scenario.slicePorts ?? [{ name: 'http', port: 8080, protocol }];
  const services = [
    service(
      { clusterIP: clusterIP[0], clusterIPs: [...clusterIP], ...scenario.spec },
      { ...(scenario.labels ? { labels: scenario.labels } : {}) },
      {
        loadBalancer: {
          ingress: [...loadBalancerIP.map((ip) => ({ ip })), ...proxyModeIP.map((ip) => ({ ip, ipMode: 'Proxy' as const }))],
        },
      },
    ),
  ];
  const toEndpoint = ({ address, here, state, hints }: (typeof backings)[number]): Endpoint =>
    endpoint(address, here ? 'worker-1' : 'worker-2', state, hints ? { hints } : {});
  // Endpoints whose pods give a named port another number stand in slices of their own.
  const endpointSlices = [...new Set(backings.map(({ port }) => port))].map((port, index) =>
    slice(
      backings.filter((backing) => backing.port === port).map(toEndpoint),
      { addressType: `IPv${family}`, ports: slicePorts.map((each) => (port === undefined ? each : { ...each, port })) },
      `web-${index + 1}`,
    ),
  );
  const options = resolveProxyOptions({
    nodeName: 'worker-1',
    clusterCIDRs: ['10.244.0.0/16', 'fd00:10:244::/56'],
    ...variant,
    ...scenario.options,
  });
  const on = node('worker-1', scenario.zone);
  const model = compileProxy({ nodeName: 'worker-1', node: on, services, endpointSlices }, family);
  const facts = nodeFacts('worker-1', on, family);
  const own = [destinations.nodeIP, destinations.secondIP, ...(scenario.from === 'nodeAsBalancer' ? [loadBalancerIP] : [])];
  const addresses = own.map(([v4, v6]) => pick(family, v4, v6));
  const differing = { iptables: undefined, nftables: scenario.nftables, ipvs: scenario.ipvs }[variant.mode ?? 'iptables'];
  const wanted = { ...scenario, ...differing };
  const served = slicePorts.find((each) => each.protocol === protocol)?.port;
  const expected =
    wanted.outcome === 'dnat'
      ? (wanted.backends ?? []).map((index) => joinHostPort(backings[index]!.address, backings[index]!.port ?? served!)).sort()
      : [];
  return { options, model, facts, addresses, expected, wanted };
}

/** The first packet of a scenario, as it reaches the node or leaves one of its processes. */
export function flowOf({ from, to, port = 80, protocol = 'TCP' }: Scenario, family: Family) {
  const [v4, v6, link] = origins[from];
  // A process that connects to a loopback address does so from it.
  const source = from === 'node' && to === 'localhost' ? pick(family, '127.0.0.1', '::1') : pick(family, v4, v6);
  return { from: source, to: destinations[to][family === 4 ? 0 : 1], port, protocol, ...(link ? { in: link } : {}) };
}
