import { nthAddress, parsePrefix } from '../net/index.ts';
import type { LabLayout } from './layout.ts';
import type { Topology } from './topology.ts';

/** What is to be done in one network namespace: lines for `ip -batch`, and sysctls (path below /proc/sys, with slashes, and value). */
export interface NamespaceSetup {
  readonly namespace: string;
  readonly operations: readonly string[];
  readonly sysctls: readonly (readonly [path: string, value: string])[];
}

/** The underlay as data: which namespaces there are, and what each holds. The host's own namespace is not among them. */
export interface NetworkPlan {
  readonly namespaces: readonly string[];
  /** In order: the switch first, for it makes the links of the nodes. */
  readonly setups: readonly NamespaceSetup[];
}

const underlayBridge = 'underlay';

/** An interface name has at most 15 characters; a longer node name is known by its port's alias. */
export const portName = (node: string, index: number): string => (node.length <= 15 && node !== underlayBridge ? node : `port${index}`);

/** Plans a switch namespace with one bridge, and one namespace per node with `eth0` on it. */
export function planNetwork(topology: Topology, layout: LabLayout): NetworkPlan {
  const nodes = topology.nodes.map((node) => ({ ...node, namespace: layout.node(node.name).namespace }));
  const underlay = topology.underlayCIDRs.map((text) => parsePrefix(text));
  const lengths = underlay.map(({ length }) => length);
  const gateways = underlay.map((prefix) => nthAddress(prefix, 1n).text);
  const switchSetup: NamespaceSetup = {
    namespace: layout.switchNamespace,
    operations: [
      'link set lo up',
      // No delay before a port forwards.
      `link add ${underlayBridge} type bridge forward_delay 0 stp_state 0 mcast_snooping 0`,
      `link set ${underlayBridge} mtu ${topology.mtu} addrgenmode none up`,
      ...gateways.map((gateway, index) => `addr add ${gateway}/${lengths[index]} dev ${underlayBridge} nodad`),
      ...nodes.flatMap(({ name, namespace }, index) => [
        `link add ${portName(name, index)} mtu ${topology.mtu} type veth peer name eth0 mtu ${topology.mtu} netns ${namespace}`,
        `link set ${portName(name, index)} alias ${name} master ${underlayBridge} addrgenmode none up`,
      ]),
    ],
    // The switch's namespace must not filter what it bridges; as the nodes' gateway it answers that a network is unreachable.
    sysctls: [
      ['net/ipv4/ip_forward', '1'],
      ['net/ipv6/conf/all/forwarding', '1'],
      ['net/bridge/bridge-nf-call-iptables', '0'],
      ['net/bridge/bridge-nf-call-ip6tables', '0'],
    ],
  };
  const nodeSetups = nodes.map(
    ({ namespace, addresses }): NamespaceSetup => ({
      namespace,
      operations: [
        'link set lo up',
        ...addresses.map((address, index) => `addr add ${address}/${lengths[index]} dev eth0 nodad`),
        'link set eth0 up',
        // Service addresses are on no network: without a default route a process of the node could not even send to them.
        ...gateways.map((gateway) => `route add default via ${gateway}`),
      ],
      sysctls: nodeSysctls,
    }),
  );
  return { namespaces: [layout.switchNamespace, ...nodes.map((node) => node.namespace)], setups: [switchSetup, ...nodeSetups] };
}

/** What a Kubernetes node needs: forwarding, bridged packets through the packet filter, no reverse-path filter (asymmetric service paths), no DAD delay. */
const nodeSysctls: NamespaceSetup['sysctls'] = [
  ['net/ipv4/ip_forward', '1'],
  ['net/ipv4/conf/all/rp_filter', '0'],
  ['net/ipv4/conf/default/rp_filter', '0'],
  ['net/ipv6/conf/all/forwarding', '1'],
  ['net/ipv6/conf/default/forwarding', '1'],
  ['net/ipv6/conf/all/accept_dad', '0'],
  ['net/ipv6/conf/default/accept_dad', '0'],
  ['net/bridge/bridge-nf-call-iptables', '1'],
  ['net/bridge/bridge-nf-call-ip6tables', '1'],
];
