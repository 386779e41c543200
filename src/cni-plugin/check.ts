import { type DesiredNamespace, diffNamespace, type LinkDifference } from '../dataplane/links-diff.ts';
import { holdsReservation, type ReservationRecord, readReservation } from '../ipam/index.ts';
import { compileAttachment } from './compile.ts';
import { delegateFor } from './delegation.ts';
import { CniError, cniErrorCodes } from './errors.ts';
import { checkExtras, compileExtras } from './extras.ts';
import { asObject, type Fields, listField, textField } from './fields.ts';
import type { Attachment } from './input.ts';
import { type Lease, leaseOfResult, ownLease } from './lease.ts';
import { checkNamespace } from './namespace.ts';
import type { PluginOptions } from './options.ts';
import type { CniPorts } from './ports.ts';
import { parseResult } from './results.ts';

/**
 * CHECK (CNI spec 1.1.0, section 2): compares the reservation, the node's links, the pod's link, addresses and routes, and forwarding with
 * what ADD made. @throws CniError 104 naming every difference, with the repair in its details.
 */
export async function check(options: PluginOptions, attachment: Attachment, prevResult: Fields, ports: CniPorts): Promise<void> {
  checkNamespace(attachment, ports);
  const store = ports.openStore(options.ipam.dataDir, options.name);
  const record = readReservation(store, attachment);
  if (!record || !holdsReservation(store, record)) {
    throw notAsAdded(
      [`no reservation for container ${attachment.containerId} ${attachment.ifname} in ${options.ipam.dataDir}`],
      'DEL and ADD the pod again',
    );
  }
  if (options.ipam.delegate) await delegateFor(options.ipam.delegate, 'CHECK', attachment, ports);
  const plan = compileAttachment(options, attachment, leaseOfRecord(options, record, prevResult));
  const problems = compareAddresses(
    prevResult,
    plan.addresses.map(({ address }) => `${address.address.text}/${address.length}`),
  );
  const [host, pod] = await Promise.all([
    ports.host.read(plan.desiredHost.links.map(({ name }) => name)),
    ports.pod(attachment.netns).read([plan.pod.name]),
  ]);
  const differences = [
    ...diffNamespace(plan.desiredHost, host).map((difference) => ({ difference, where: 'the node' })),
    ...diffNamespace(withPreviousResult(plan.desiredPod, prevResult, attachment), pod).map((difference) => ({
      difference,
      where: 'the pod',
    })),
  ];
  problems.push(...differences.map(({ difference, where }) => describe(difference, where)));
  const repairs = differences.map(({ difference, where }) => repair(difference, where));
  const extras = compileExtras(
    options,
    attachment,
    plan.addresses.map(({ address }) => address),
  );
  for (const difference of await checkExtras(extras, ports)) {
    problems.push(difference.problem);
    repairs.push(difference.repair);
  }
  const guard = options.macspoofchk ? await ports.macGuard.read(plan.host.name) : [plan.pod.mac];
  if (!guard?.includes(plan.pod.mac)) {
    problems.push(
      `macspoofchk: ${plan.host.name} in the node ${guard ? `may send from ${guard.join(', ') || 'no MAC'}, not from ${plan.pod.mac}` : 'may send from any MAC'}`,
    );
    repairs.push('DEL and ADD the pod again');
  }
  const forwards = options.isGateway || options.mode === 'ptp';
  for (const family of new Set(forwards ? record.addresses.map((address) => address.family) : [])) {
    if (ports.forwards(family)) continue;
    problems.push(`the node does not forward IPv${family}`);
    repairs.push(`sysctl -w ${family === 4 ? 'net.ipv4.ip_forward' : 'net.ipv6.conf.all.forwarding'}=1`);
  }
  if (problems.length > 0) throw notAsAdded(problems, [...new Set(repairs)].join('; '));
}

const notAsAdded = (problems: readonly string[], details: string): CniError =>
  new CniError(cniErrorCodes.notAsAdded, problems.join('; '), details && `repair: ${details}`);

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
  const mtu = typeof own['mtu'] === 'number' && own['mtu'] > 0 ? own['mtu'] : undefined;
  return {
    ...desired,
    links: desired.links.map((link) => ({ ...link, ...(mac === undefined ? {} : { mac }), ...(mtu === undefined ? {} : { mtu }) })),
  };
}

function compareAddresses(prevResult: Fields, reserved: readonly string[]): string[] {
  const told = listField(prevResult, 'ips', 'prevResult.ips').map((entry, index) =>
    textField(asObject(entry, `prevResult.ips[${index}]`), 'address'),
  );
  return reserved
    .filter((address) => !told.includes(address))
    .map((address) => `reserved address ${address} is not in prevResult (${told.join(', ') || 'none'})`);
}

function describe({ aspect, link, desired, actual }: LinkDifference, where: string): string {
  if (aspect === 'link') return `link ${link} is missing in ${where}`;
  if (aspect === 'up') return `link ${link} in ${where} is down`;
  if (aspect === 'isolated' || aspect === 'promisc')
    return `${link} in ${where} is ${actual === 'true' ? '' : 'not '}${aspect === 'promisc' ? 'promiscuous' : aspect}`;
  if (aspect === 'hairpin') return `hairpin mode of ${link} in ${where} is ${actual === 'true' ? 'on' : 'off'}`;
  if (aspect === 'route') return `route ${desired} is missing in ${where}`;
  if (aspect === 'address') return `address ${desired} is missing on ${link} in ${where} (it has ${actual})`;
  return `${aspect} of ${link} in ${where} is ${actual}, not ${desired}`;
}

function repair({ aspect, link, desired }: LinkDifference, where: string): string {
  const inPod = where === 'the pod' ? 'in the pod: ' : '';
  switch (aspect) {
    case 'up':
      return `${inPod}ip link set ${link} up`;
    case 'hairpin':
      return `bridge link set dev ${link} hairpin ${desired === 'true' ? 'on' : 'off'}`;
    case 'isolated':
      return `bridge link set dev ${link} isolated ${desired === 'true' ? 'on' : 'off'}`;
    case 'promisc':
      return `ip link set ${link} promisc ${desired === 'true' ? 'on' : 'off'}`;
    case 'mtu':
      return `${inPod}ip link set ${link} mtu ${desired}`;
    case 'mac':
      return `${inPod}ip link set ${link} address ${desired}`;
    case 'master':
      return `ip link set ${link} master ${desired}`;
    case 'address':
      return `${inPod}ip address add ${desired} dev ${link}`;
    case 'route':
      return `${inPod}ip route add ${desired.replace(/ \(IPv\d\)/, '')}`;
    default:
      return 'DEL and ADD the pod again';
  }
}
