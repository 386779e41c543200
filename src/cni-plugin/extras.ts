import type { LinkAddress } from '../dataplane/links.ts';
import { qdiscDifference, type RootQdisc, type TokenBucket } from '../dataplane/qdisc.ts';
import type { AddressOwner, ReservationStore } from '../ipam/index.ts';
import { prefixOf } from '../net/index.ts';
import type { Bandwidth } from './bandwidth.ts';
import { type Difference, inPod, quoted } from './check-repairs.ts';
import type { HostPortRecord } from './host-port-claims.ts';
import type { Attachment } from './input.ts';
import { hostLinkName } from './names.ts';
import { applyNat, collectNat, type NatPorts, removeNat } from './nat.ts';
import { checkNat } from './nat-check.ts';
import { type NatNetwork, natNetwork } from './nat-table.ts';
import type { PluginOptions } from './options.ts';
import { compileHostPorts, type HostPort } from './port-maps.ts';

// What an attachment has besides its link, addresses and routes: masquerade, host ports, bandwidth limits.

/** Root queueing disciplines of one network namespace; `kernel/tc` is one. */
export interface QdiscPort {
  setRoot(device: string, bucket: TokenBucket): Promise<void>;
  readRoot(device: string): Promise<RootQdisc | undefined>;
}

/** What the extras need of the node. */
export interface ExtrasPorts {
  readonly nat: NatPorts;
  /** Claims on the node's ports, for all networks with this data folder. */
  openHostPorts(dataDir: string): ReservationStore;
  /** Of the pod's namespace at the path; of the node's without one. */
  qdiscs(netns?: string): QdiscPort;
  /** May packets of 127.0.0.0/8 pass the link? `net.ipv4.conf.LINK.route_localnet` of the node; undefined when there is no such link. */
  readRouteLocalnet(link: string): boolean | undefined;
  allowRouteLocalnet(link: string): void;
}

/** The extras of one attachment. Pure data. */
export interface ExtrasPlan {
  readonly network: NatNetwork;
  readonly record: HostPortRecord;
  readonly bandwidth: Bandwidth;
  readonly hostLink: string;
  readonly podLink: string;
  readonly netns: string;
  readonly dataDir: string;
  /** Link of the node that host port traffic from 127.0.0.1 leaves by; undefined when there is none. */
  readonly loopbackLink: string | undefined;
}

/** @throws CniError 7 for a host address of a family that the pod has no address of */
export function compileExtras(options: PluginOptions, attachment: Attachment, addresses: readonly LinkAddress[]): ExtrasPlan {
  const { containerId, ifname, netns, pod } = attachment;
  const hostLink = hostLinkName(containerId, ifname);
  const hostPorts = compileHostPorts(
    options.portMappings,
    addresses.map(({ address }) => address),
  );
  return {
    network: networkOf(options, addresses),
    record: { containerId, ifname, network: options.name, ...(pod === undefined ? {} : { pod }), hostPorts, state: 'reserved' },
    bandwidth: options.bandwidth,
    hostLink,
    podLink: ifname,
    netns,
    dataDir: options.ipam.dataDir,
    loopbackLink: options.snat && hostPorts.some(isAtLoopback) ? options.bridge || hostLink : undefined,
  };
}

/** The NAT of the network that the options describe. Where another plugin gives the addresses, these tell the subnets. */
export function networkOf(options: PluginOptions, addresses: readonly LinkAddress[] = []): NatNetwork {
  const { ranges } = options.ipam;
  const subnets =
    ranges.length > 0 ? ranges.flat().map(({ subnet }) => subnet) : addresses.map(({ address, length }) => prefixOf(address, length));
  return natNetwork(options.name, subnets, options);
}

const isAtLoopback = ({ address, hostIP }: HostPort): boolean =>
  !address.includes(':') && (hostIP === undefined || hostIP.startsWith('127.'));

/**
 * Does the extras of an attachment whose link is there. Nothing is started when there is nothing to do, which a masquerade rule that was seen a
 * short time ago does not change.
 * @throws CniError 106 for a host port that another pod has; what `nft` and `tc` throw
 */
export async function applyExtras(plan: ExtrasPlan, ports: ExtrasPorts): Promise<void> {
  const { network, record, bandwidth, hostLink, podLink, netns, dataDir, loopbackLink } = plan;
  const work = [applyNat(network, record, ports.openHostPorts(dataDir), ports.nat)];
  if (bandwidth.ingress) work.push(ports.qdiscs().setRoot(hostLink, bandwidth.ingress));
  if (bandwidth.egress) work.push(ports.qdiscs(netns).setRoot(podLink, bandwidth.egress));
  // All of it has ended before anything is taken back.
  const failed = (await Promise.allSettled(work)).find((outcome) => outcome.status === 'rejected');
  if (failed) throw failed.reason;
  if (loopbackLink !== undefined && ports.readRouteLocalnet(loopbackLink) !== true) ports.allowRouteLocalnet(loopbackLink);
}

/** Takes back what outlives the link: the host ports. To be done before the addresses are free. Repeatable. */
export const removeExtras = (owner: AddressOwner, dataDir: string, ports: ExtrasPorts): Promise<void> =>
  removeNat(owner, ports.openHostPorts(dataDir), ports.nat);

/** Every way in which the extras are not as ADD made them. */
export async function checkExtras(plan: ExtrasPlan, ports: ExtrasPorts): Promise<Difference[]> {
  const { network, record, bandwidth, hostLink, podLink, netns, dataDir, loopbackLink } = plan;
  const [nat, ingress, egress] = await Promise.all([
    checkNat(network, record, record.hostPorts, ports.openHostPorts(dataDir), ports.nat),
    checkQdisc(bandwidth.ingress, hostLink, ports.qdiscs()),
    checkQdisc(bandwidth.egress, podLink, ports.qdiscs(netns), netns),
  ]);
  const differences = [...nat, ...ingress, ...egress];
  if (loopbackLink !== undefined && ports.readRouteLocalnet(loopbackLink) === false)
    differences.push({
      problem: `host ports cannot be reached at 127.0.0.1: route_localnet of ${loopbackLink} in the node is off`,
      repair: `sysctl -w ${quoted(`net.ipv4.conf.${loopbackLink}.route_localnet=1`)}`,
    });
  return differences;
}

async function checkQdisc(bucket: TokenBucket | undefined, link: string, qdiscs: QdiscPort, netns?: string): Promise<Difference[]> {
  const difference = bucket && qdiscDifference(bucket, await qdiscs.readRoot(link));
  if (!difference) return [];
  const command = `tc qdisc replace dev ${quoted(link)} root tbf rate ${bucket.rate}bit burst ${bucket.burst} latency 25ms`;
  return [
    {
      problem: `the bandwidth limit (tbf qdisc) of ${link} in ${netns === undefined ? 'the node' : 'the pod'} ${difference}`,
      repair: netns === undefined ? command : inPod(netns, command),
    },
  ];
}

/**
 * GC: host ports and rules that belong to no attachment that stays.
 * @param isKept whether an attachment stays
 * @param isUsed whether the network has any attachment left
 */
export const collectExtras = (
  options: PluginOptions,
  isKept: (owner: AddressOwner) => boolean,
  isUsed: () => boolean,
  ports: ExtrasPorts,
): Promise<void> => collectNat(networkOf(options), isKept, isUsed, ports.openHostPorts(options.ipam.dataDir), ports.nat);
