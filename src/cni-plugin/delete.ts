import {
  type AddressOwner,
  beginRelease,
  readReservation,
  type ReservationRecord,
  type ReservationStore,
  sameOwner,
} from '../ipam/index.ts';
import { tryParseAddress } from '../net/index.ts';
import { undoOperations } from './compile.ts';
import { endDamagedRecord, hostPortsOf, namesOfDamaged, reservationsOf } from './damage.ts';
import { collectExtras, removeExtras } from './extras.ts';
import { releaseLease } from './leases.ts';
import { hostLinkName } from './names.ts';
import type { PluginOptions } from './options.ts';
import type { CniPorts } from './ports.ts';
import { refuse } from './refuse.ts';

/** An ADD killed this long ago (ms) has no `ip` running any more. */
const orphanLifetime = 10_000;

/**
 * DEL (CNI spec 1.1.0, section 2): repeatable; needs neither the namespace nor a previous result. One process. The address is free only
 * after the link is gone. When the kernel refuses, the reservation stays announced as being released, and the next DEL goes on.
 */
export async function remove(
  options: PluginOptions,
  owner: AddressOwner & { readonly netns?: string },
  store: ReservationStore,
  ports: CniPorts,
): Promise<void> {
  const { ipam, macspoofchk } = options;
  const hostLink = hostLinkName(owner.containerId, owner.ifname);
  const reservations = reservationsOf(store, ipam.dataDir, options.name);
  const damaged = namesOfDamaged(reservations, owner);
  const record = damaged ? undefined : announceRelease(store, owner);
  const addresses = damaged ? damaged.flatMap((name) => tryParseAddress(name) ?? []) : (record?.addresses ?? []);
  const outcome = await ports.host.apply(undoOperations(options, hostLink, addresses));
  refuse(outcome, 'the node');
  const linkWasMissing = outcome.tolerated.some(({ operation }) => operation.op === 'delete-link');
  if (record && linkWasMissing && mayHaveOrphan(record, ports)) await deleteLateLink(hostLink, ports);
  // The next pod with these addresses must not get this one's host ports.
  await endHostPorts(options, owner, ports);
  endDamagedRecord(reservations, owner, ports);
  await releaseLease(ipam, owner, store, ports);
  // Last: it is of no harm without its link, and a second DEL finds it without a record.
  if (macspoofchk) await forgetGuard(hostLink, ports);
}

/**
 * Ends what an earlier life of the attachment left undone, before an ADD: a DEL that was answered and is still queued, so that it does not meet the
 * new life later; and records that cannot be read.
 */
export async function endFormerLife(options: PluginOptions, owner: AddressOwner, store: ReservationStore, ports: CniPorts): Promise<void> {
  const queued = (ports.queuedDeletes?.list(options.name) ?? []).filter((each) => sameOwner(each.owner, owner));
  // Forgotten first, so that whoever works on the queue does not meet the new life. When it fails now, so does the ADD, and a DEL follows.
  for (const { forget } of queued) forget();
  if (queued.length > 0) await remove(options, owner, store, ports);
  endDamagedRecord(reservationsOf(store, options.ipam.dataDir, options.name), owner, ports);
  const hostPorts = hostPortsOf(ports.openHostPorts(options.ipam.dataDir), options.ipam.dataDir);
  if (namesOfDamaged(hostPorts, owner)) await endHostPorts(options, owner, ports);
}

/** A disk that is full takes no announcement, and stands in nobody's way. */
export function announceRelease(store: ReservationStore, owner: AddressOwner): ReservationRecord | undefined {
  try {
    return beginRelease(store, owner);
  } catch {
    return readReservation(store, owner);
  }
}

async function endHostPorts(options: PluginOptions, owner: AddressOwner, ports: CniPorts): Promise<void> {
  const { dataDir } = options.ipam;
  const records = hostPortsOf(ports.openHostPorts(dataDir), dataDir);
  if (!namesOfDamaged(records, owner)) return removeExtras(owner, dataDir, ports);
  endDamagedRecord(records, owner, ports);
  // Nobody's now, whatever they lead to.
  const always = (): boolean => true;
  await collectExtras(options, always, always, ports);
}

/** Without nft there is no guard. */
export async function forgetGuard(hostLink: string, { macGuard }: CniPorts): Promise<void> {
  try {
    await macGuard.forget(hostLink);
  } catch (error) {
    if ((error as { reason?: unknown }).reason !== 'not-installed') throw error;
  }
}

/** An ADD that was killed may have left its `ip` running, which makes the link a moment later. */
const mayHaveOrphan = (record: ReservationRecord, ports: CniPorts): boolean =>
  ports.now() - Date.parse(record.reservedAt) < orphanLifetime && ports.namespaceIdentity(record.netns)?.inode === record.netnsInode;

async function deleteLateLink(hostLink: string, ports: CniPorts): Promise<void> {
  for (let attempt = 0; attempt < 5; attempt++) {
    await ports.sleep(20);
    const outcome = await ports.host.apply([{ op: 'delete-link', name: hostLink }]);
    refuse(outcome, 'the node');
    if (outcome.tolerated.length === 0) return;
  }
}
