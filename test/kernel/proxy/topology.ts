// A node with pods; beyond it the pods of another node and the rest of the world; and strangers who send to it. Each in its own network namespace.
// The other node itself is left out: its pods stand behind the node's eth0 with the node as their gateway, so that every answer comes back by way of
// the node that translates addresses. A namespace holds several pods where none of them sends to another, for processes are dear.
import type { Sysctl } from '../../../src/kernel/sysctl.ts';
import { destinations, type Family, origins } from '../../kube-proxy/scenario-objects.ts';

/** `pod` and `self` each hold one pod of the node that sends; `self` is an endpoint too, so that it can reach itself. */
export type Place = 'node' | 'beyond' | 'strangers' | 'pod' | 'self' | 'here';

type Addresses = readonly [v4: string, v6: string];
const pairOf = ([v4, v6]: readonly [string, string, ...unknown[]]): Addresses => [v4, v6];
const podAddresses = (subnet: 1 | 2, host: number): Addresses => [`10.244.${subnet}.${host}`, `fd00:10:244:${subnet}::${host}`];

/** What random services have as cluster IPs. */
const randomClusterIPs: readonly Addresses[] = [0, 1, 2].map((last) => [`10.96.0.${last}`, `fd00:10:96::${last}`]);
/** Endpoints of the node, then of the other. */
export const endpointAddresses: readonly Addresses[] = ([1, 2] as const).flatMap((subnet) =>
  [2, 3, 4].map((host) => podAddresses(subnet, host)),
);

/** Every address of a place. What no service takes goes beyond, where the services' addresses are therefore. */
export const addresses: Readonly<Record<Place, readonly Addresses[]>> = {
  node: [destinations.nodeIP, destinations.secondIP],
  beyond: [
    ['192.168.88.1', 'fd00:88::1'],
    ...endpointAddresses.slice(3),
    ...(['clusterIP', 'unallocated', 'externalIP', 'loadBalancerIP', 'proxyModeIP'] as const).map((name) => destinations[name]),
    ['203.0.113.8', '2001:db8::8'],
    ...randomClusterIPs,
  ],
  strangers: [pairOf(origins.outsider), pairOf(origins.allowed), pairOf(origins.otherPod)],
  pod: [pairOf(origins.pod)],
  self: [podAddresses(1, 2)],
  here: [podAddresses(1, 3), podAddresses(1, 4)],
};

export const addressOf = (place: Place, family: Family): string => addresses[place][0]![family === 4 ? 0 : 1];

/** The source that a masqueraded packet has: the node's address on the link it leaves by. */
export const masqueradedSource = (endpoint: string, family: Family): string =>
  addresses.node[/^(10\.244\.1\.|fd00:10:244:1:)/.test(endpoint) ? 1 : 0]![family === 4 ? 0 : 1];

/** The place that an address belongs to. */
export function placeOf(address: string): Place {
  if (['127.0.0.1', '::1', ...origins.nodeAsBalancer].includes(address)) return 'node';
  const found = (Object.keys(addresses) as Place[]).find((place) => addresses[place].some((pair) => pair.includes(address)));
  if (found === undefined) throw new Error(`no place has the address ${address}`);
  return found;
}

const endpointPorts = [8080, 9090, 9091];
/** What a packet may be for that no service takes. */
const servicePorts = [22, 80, 81, 443, 30_000, 30_001, 30_002, 30_080];
/** The ports that the peer of a place listens on, TCP and UDP. */
export const portsOf: Readonly<Record<Place, readonly number[]>> = {
  node: servicePorts,
  beyond: [...endpointPorts, ...servicePorts],
  strangers: [],
  pod: [],
  self: endpointPorts,
  here: endpointPorts,
};

/** Lines for `ip -batch` in the namespace of a place, and the kernel parameters before them. `of` gives a namespace's name. */
export function setupOf(place: Place | 'switch', of: (place: Place) => string): { sysctls: readonly Sysctl[]; lines: readonly string[] } {
  if (place === 'switch') return { sysctls: [], lines: switchLines(of) };
  if (place === 'node') return nodeSetup(of);
  const own = addresses[place];
  const [gateway4, gateway6] = addresses.node[place === 'beyond' || place === 'strangers' ? 0 : 1]!;
  return {
    // A redirect would let a pod answer its neighbour behind the node's back.
    sysctls: (['ipv4/conf/all', 'ipv4/conf/eth0', 'ipv6/conf/eth0'] as const).map((where) => [`net/${where}/accept_redirects`, '0']),
    lines: [
      ...own.flatMap(([v4, v6]) => [`addr add ${v4}/32 dev eth0`, `addr add ${v6}/128 dev eth0 nodad`]),
      'link set eth0 up',
      `route add ${gateway4} dev eth0`,
      `route add ${gateway6} dev eth0`,
      `route add default via ${gateway4}`,
      `route add default via ${gateway6}`,
    ],
  };
}

function nodeSetup(of: (place: Place) => string): { sysctls: readonly Sysctl[]; lines: readonly string[] } {
  const [[v4, v6], [bridge4, bridge6]] = addresses.node as [Addresses, Addresses];
  return {
    sysctls: [
      ['net/ipv4/ip_forward', '1'],
      ['net/ipv6/conf/all/forwarding', '1'],
      // Bridged packets of pods go through the rules, as the cluster's nodes have it.
      ['net/bridge/bridge-nf-call-iptables', '1'],
      ['net/bridge/bridge-nf-call-ip6tables', '1'],
      // The node is the gateway between neighbours, and stays between them.
      ['net/ipv4/conf/all/send_redirects', '0'],
      ['net/ipv4/conf/default/send_redirects', '0'],
      // Many refusals in a short time are the test's business, not an attack.
      ['net/ipv4/icmp_ratelimit', '0'],
      ['net/ipv6/icmp/ratelimit', '0'],
    ],
    lines: [
      `addr add ${v4}/24 dev eth0`,
      `addr add ${v6}/64 dev eth0 nodad`,
      'link set eth0 up',
      'link add podwire0 type bridge',
      `addr add ${bridge4}/24 dev podwire0`,
      `addr add ${bridge6}/64 dev podwire0 nodad`,
      'link set podwire0 up',
      ...(['pod', 'self', 'here'] as const).flatMap((pod) => [
        `link add ${pod} type veth peer name eth0 netns ${of(pod)}`,
        `link set ${pod} master podwire0 up`,
        `link set ${pod} type bridge_slave hairpin on`,
      ]),
      ...['10.244.2.0/24', '192.0.2.0/24', '198.51.100.0/24', 'fd00:10:244:2::/64', '2001:db8:51::/64', '2001:db8:52::/64'].map(
        (prefix) => `route add ${prefix} dev eth0`,
      ),
      'route add default via 192.168.88.1',
      'route add default via fd00:88::1',
    ],
  };
}

/** Between the node, what is beyond it, and the strangers. */
const switchLines = (of: (place: Place) => string): string[] => [
  'link add br0 type bridge',
  'link set br0 up',
  ...(['node', 'beyond', 'strangers'] as const).flatMap((place) => [
    `link add ${place} type veth peer name eth0 netns ${of(place)}`,
    `link set ${place} master br0 up`,
  ]),
];
