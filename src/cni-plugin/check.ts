import type { DesiredNamespace } from '../dataplane/links-diff.ts';
import { linkAddressText } from '../dataplane/links.ts';
import { holdsReservation, type ReservationRecord, readReservation } from '../ipam/index.ts';
import { checkLinks } from './check-links.ts';
import { addAgain, type Difference, notAsAdded } from './check-repairs.ts';
import { type AttachmentPlan, compileAttachment } from './compile.ts';
import { isDamaged, reservationsOf } from './damage.ts';
import { delegateFor } from './delegation.ts';
import { checkExtras, compileExtras } from './extras.ts';
import { asObject, type Fields, invalid, listField, textField } from './fields.ts';
import type { Attachment } from './input.ts';
import { type Lease, leaseOfResult, ownLease } from './lease.ts';
import { checkNamespace } from './namespace.ts';
import type { PluginOptions } from './options.ts';
import type { CniPorts } from './ports.ts';
import { parseResult } from './results.ts';

/**
 * CHECK (CNI spec 1.1.0, section 2): compares the reservation, links, addresses, routes and permanent neighbours on both sides, masquerade, host
 * ports, bandwidth limits, the guard of source MACs, and forwarding with what ADD made.
 * @throws CniError 104 naming every difference, with the repair in its details
 */
export async function check(options: PluginOptions, attachment: Attachment, prevResult: Fields, ports: CniPorts): Promise<void> {
  checkNamespace(attachment, ports);
  const store = ports.openStore(options.ipam.dataDir, options.name);
  const record = readReservation(store, attachment);
  if (!record || !holdsReservation(store, record)) {
    const isThere = isDamaged(reservationsOf(store, options.ipam.dataDir, options.name), attachment);
    const whose = `container ${attachment.containerId} ${attachment.ifname} in ${options.ipam.dataDir}`;
    const problem = isThere ? `the reservation for ${whose} cannot be read` : `no reservation for ${whose}`;
    throw notAsAdded([{ problem, repair: addAgain }]);
  }
  if (options.ipam.delegate) await delegateFor(options.ipam.delegate, 'CHECK', attachment, ports);
  const plan = planOfRecord(options, attachment, record, prevResult);
  const addresses = plan.addresses.map(({ address }) => address);
  const [host, pod, extras, guard] = await Promise.all([
    ports.host.read(plan.desiredHost.links.map(({ name }) => name)),
    ports.pod(attachment.netns).read([plan.pod.name]),
    checkExtras(compileExtras(options, attachment, addresses), ports),
    options.macspoofchk ? checkGuard(plan, ports) : [],
  ]);
  const differences = [
    ...checkResult(prevResult, addresses.map(linkAddressText)),
    ...(options.isGateway || options.mode === 'ptp' ? checkForwarding(record, ports) : []),
    ...checkLinks(plan.desiredHost, host),
    ...checkLinks(withPreviousResult(plan.desiredPod, prevResult, attachment), pod, attachment.netns),
    ...extras,
    ...guard,
  ];
  if (differences.length > 0) throw notAsAdded(differences);
}

/** @throws CniError 104 when the configuration has other ranges by now */
function planOfRecord(options: PluginOptions, attachment: Attachment, record: ReservationRecord, prevResult: Fields): AttachmentPlan {
  try {
    return compileAttachment(options, attachment, leaseOfRecord(options, record, prevResult));
  } catch (error) {
    if (error instanceof RangeError) throw notAsAdded([{ problem: `reserved address ${error.message}`, repair: addAgain }]);
    throw error;
  }
}

async function checkGuard({ host, pod }: AttachmentPlan, { macGuard }: CniPorts): Promise<Difference[]> {
  const allowed = await macGuard.read(host.name);
  if (allowed?.includes(pod.mac)) return [];
  const instead = allowed ? `may send from ${allowed.join(', ') || 'no MAC'}, not from ${pod.mac}` : 'may send from any MAC';
  return [{ problem: `macspoofchk: ${host.name} in the node ${instead}`, repair: addAgain }];
}

const checkForwarding = ({ addresses }: ReservationRecord, { forwards }: CniPorts): Difference[] =>
  [...new Set(addresses.map(({ family }) => family))]
    .filter((family) => !forwards(family))
    .map((family) => ({
      problem: `the node does not forward IPv${family}`,
      repair: `sysctl -w ${family === 4 ? 'net.ipv4.ip_forward' : 'net.ipv6.conf.all.forwarding'}=1`,
    }));

/** What ADD had a lease of. Of addresses from elsewhere only the previous result tells the length and the gateway. */
function leaseOfRecord(options: PluginOptions, record: ReservationRecord, prevResult: Fields): Lease {
  if (options.ipam.source === 'own') return ownLease(options.ipam, record.addresses);
  const told = parseResult(prevResult, 'prevResult');
  const held = new Set(record.addresses.map(({ text }) => text));
  return leaseOfResult({ ...told, ips: told.ips.filter(({ address }) => held.has(address.address.text)) }, options.isGateway);
}

/** A plugin later in the chain may have changed MAC or MTU of the pod's link (tuning does); the result of the chain tells. */
function withPreviousResult(desired: DesiredNamespace, prevResult: Fields, { ifname, netns }: Attachment): DesiredNamespace {
  const own = listField(prevResult, 'interfaces', 'prevResult.interfaces')
    .map((entry, index) => asObject(entry, `prevResult.interfaces[${index}]`))
    .find((entry) => entry['name'] === ifname && entry['sandbox'] === netns);
  if (!own) return desired;
  const mac = textField(own, 'mac', 'prevResult.interfaces.mac')?.toLowerCase();
  if (mac !== undefined && !/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac))
    throw invalid('prevResult.interfaces.mac', mac, 'is not a MAC address');
  const mtu = typeof own['mtu'] === 'number' && own['mtu'] > 0 ? own['mtu'] : undefined;
  return {
    ...desired,
    links: desired.links.map((link) => ({ ...link, ...(mac === undefined ? {} : { mac }), ...(mtu === undefined ? {} : { mtu }) })),
  };
}

function checkResult(prevResult: Fields, reserved: readonly string[]): Difference[] {
  const told = listField(prevResult, 'ips', 'prevResult.ips').map((entry, index) =>
    textField(asObject(entry, `prevResult.ips[${index}]`), 'address'),
  );
  return reserved
    .filter((address) => !told.includes(address))
    .map((address) => ({
      problem: `reserved address ${address} is not in prevResult (${told.join(', ') || 'none'})`,
      repair: addAgain,
    }));
}
