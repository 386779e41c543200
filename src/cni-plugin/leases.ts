import {
  type AddressOwner,
  AddressesExhaustedError,
  AddressTakenError,
  beginRelease,
  readReservation,
  recordForeignAddresses,
  releaseAddresses,
  type ReservationRecord,
  type ReservationRequest,
  type ReservationStore,
  reserveAddresses,
} from '../ipam/index.ts';
import { delegateAdd, delegateFor, findDelegate } from './delegation.ts';
import { type Dns, parseResolvConf } from './dns-options.ts';
import { CniError, cniErrorCodes } from './errors.ts';
import type { Attachment } from './input.ts';
import type { IpamOptions } from './ipam-options.ts';
import { emptyLease, type Lease, leaseOfResult, ownLease } from './lease.ts';
import { hostLinkName } from './names.ts';
import type { PluginOptions } from './options.ts';
import type { CniPorts } from './ports.ts';

/** An attachment with its addresses, written down. */
export interface HeldLease {
  readonly record: ReservationRecord;
  readonly lease: Lease;
}

type LeaseOptions = Pick<PluginOptions, 'name' | 'ipam'>;

/**
 * Gets addresses for an attachment from whoever gives them, and writes the attachment down, so that DEL and GC know of it. All or nothing.
 * @throws CniError 103 (no address left), 108 (the address that was asked for is taken), 101 (attached already), or the other plugin's error
 */
export async function acquireLease(
  options: LeaseOptions & Pick<PluginOptions, 'isGateway'>,
  attachment: Attachment,
  netnsInode: number,
  store: ReservationStore,
  ports: CniPorts,
): Promise<HeldLease> {
  const request = requestOf(options, attachment, netnsInode, ports);
  return options.ipam.source === 'own'
    ? reserveOwn(options, request, store, ports)
    : acquireForeign(options, attachment, request, store, ports);
}

const requestOf = (
  { name }: LeaseOptions,
  { containerId, ifname, netns, pod }: Attachment,
  netnsInode: number,
  ports: CniPorts,
): ReservationRequest => ({
  containerId,
  ifname,
  network: name,
  ...(pod === undefined ? {} : { pod }),
  netns,
  netnsInode,
  hostLink: hostLinkName(containerId, ifname),
  bootId: ports.bootId,
  reservedAt: new Date(ports.now()).toISOString(),
});

/** @throws CniError as {@link acquireLease} */
export function reserveOwn({ name, ipam }: LeaseOptions, request: ReservationRequest, store: ReservationStore, ports: CniPorts): HeldLease {
  const dns = dnsOf(ipam, ports);
  const before = readReservation(store, request);
  try {
    const record = reserveAddresses(store, ipam.ranges, request, ipam.requested, ipam.quarantine);
    return { record, lease: ownLease(ipam, record.addresses, dns) };
  } catch (error) {
    // A full disk, say. What the owner had before stays its own.
    if (!before) releaseQuietly(store, request);
    const where = `reservations are kept in ${ipam.dataDir}`;
    if (error instanceof AddressesExhaustedError)
      throw new CniError(cniErrorCodes.addressesExhausted, `network ${name}: ${error.message}`, where);
    if (error instanceof AddressTakenError) throw new CniError(cniErrorCodes.addressTaken, `network ${name}: ${error.message}`, where);
    throw error;
  }
}

function releaseQuietly(store: ReservationStore, owner: AddressOwner): void {
  try {
    releaseAddresses(store, owner);
  } catch {
    // The error that led here is the one to report; a DEL tries again.
  }
}

function dnsOf({ resolvConf }: IpamOptions, ports: CniPorts): Dns {
  if (resolvConf === undefined) return {};
  const text = ports.readText(resolvConf);
  if (text === undefined) throw new CniError(cniErrorCodes.io, `ipam.resolvConf: ${resolvConf} does not exist`);
  return parseResolvConf(text);
}

/** The attachment is written down before the other plugin is run: whatever happens then, DEL and GC know whom to ask. */
async function acquireForeign(
  options: LeaseOptions & Pick<PluginOptions, 'isGateway'>,
  attachment: Attachment,
  request: ReservationRequest,
  store: ReservationStore,
  ports: CniPorts,
): Promise<HeldLease> {
  const { delegate } = options.ipam;
  if (delegate) findDelegate(delegate, ports);
  const before = readReservation(store, attachment);
  if (before?.ipam !== undefined && before.addresses.length > 0) {
    if (!ports.continuesAdd && (await isAttached(before, attachment, ports))) throw new AlreadyAttachedError(attachment);
    if (delegate) await delegateFor(delegate, 'DEL', attachment, ports);
  }
  const record = { ...request, addresses: [], ipam: delegate?.type ?? 'none', state: 'reserved' } as const;
  try {
    recordForeignAddresses(store, record);
  } catch (error) {
    if (!before) releaseQuietly(store, record);
    throw error;
  }
  if (!delegate) return { record, lease: emptyLease };
  try {
    const lease = leaseOfResult(await delegateAdd(delegate, attachment, ports), options.isGateway);
    if (readReservation(store, attachment)?.state !== 'reserved') throw deletedMeanwhile(attachment);
    const held = { ...record, addresses: lease.addresses.map(({ address }) => address.address) };
    recordForeignAddresses(store, held);
    return { record: held, lease };
  } catch (error) {
    // The error that led here is the one to report; when this fails too, the record stays, and a DEL tries again.
    await giveBack(options.ipam, record, store, ports).catch(() => {});
    throw error;
  }
}

async function giveBack(ipam: IpamOptions, record: ReservationRecord, store: ReservationStore, ports: CniPorts): Promise<void> {
  try {
    beginRelease(store, record);
  } catch {
    // A full disk takes no announcement.
  }
  await releaseLease(ipam, record, store, ports);
}

/** Has an ADD of this attachment come to its end? */
async function isAttached({ hostLink, addresses }: ReservationRecord, { netns, ifname }: Attachment, ports: CniPorts): Promise<boolean> {
  const [host, pod] = await Promise.all([ports.host.read([hostLink]), ports.pod(netns).read([ifname])]);
  const link = pod.links.get(ifname);
  return (
    host.links.has(hostLink) &&
    link !== undefined &&
    link.up &&
    addresses.every(({ text }) => link.addresses.some(({ address }) => address.text === text))
  );
}

/** Gives back what an attachment holds, here and at the other IPAM plugin. To be done when its link is gone. Repeatable. */
export async function releaseLease(
  { delegate }: IpamOptions,
  owner: AddressOwner & { readonly netns?: string },
  store: ReservationStore,
  ports: CniPorts,
): Promise<void> {
  const { containerId, ifname } = owner;
  const netns = owner.netns ?? readReservation(store, owner)?.netns ?? '';
  if (delegate) await delegateFor(delegate, 'DEL', { containerId, ifname, netns }, ports);
  releaseAddresses(store, owner);
}

const nameOf = ({ containerId, ifname, pod }: Attachment): string => `${ifname} of container ${containerId}${pod ? ` (pod ${pod})` : ''}`;

export const deletedMeanwhile = (attachment: Attachment): CniError =>
  new CniError(cniErrorCodes.deletedMeanwhile, `${nameOf(attachment)} was deleted while it was being added`);

/** There is an attachment, whole and in use: an ADD that finds it must not take it back. */
export class AlreadyAttachedError extends CniError {
  constructor(attachment: Attachment) {
    super(cniErrorCodes.interfaceExists, `${nameOf(attachment)} is attached already`, 'call DEL before another ADD; nothing was changed');
  }
}
