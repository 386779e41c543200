import { type AddressOwner, beginRelease, type ReservationRecord, type ReservationStore } from '../ipam/index.ts';
import { refuse } from './add.ts';
import { undoOperations } from './compile.ts';
import { removeExtras } from './extras.ts';
import { releaseLease } from './leases.ts';
import { hostLinkName } from './names.ts';
import type { PluginOptions } from './options.ts';
import type { CniPorts } from './ports.ts';

/** An ADD killed this long ago (ms) has no `ip` running any more. */
const orphanLifetime = 10_000;

/**
 * DEL (CNI spec 1.1.0, section 2): repeatable; needs neither the namespace nor a previous result. One process. The address is free only
 * after the link is gone. When the kernel refuses, the reservation stays announced as being released, and the next DEL goes on.
 */
export async function remove(
  { bridge, ipam, macspoofchk }: Pick<PluginOptions, 'bridge' | 'ipam' | 'macspoofchk'>,
  owner: AddressOwner & { readonly netns?: string },
  store: ReservationStore,
  ports: CniPorts,
): Promise<void> {
  const hostLink = hostLinkName(owner.containerId, owner.ifname);
  const record = beginRelease(store, owner);
  const outcome = await ports.host.apply(undoOperations(bridge, hostLink, record?.addresses ?? []));
  refuse(outcome, 'the node');
  const linkWasMissing = outcome.tolerated.some(({ operation }) => operation.op === 'delete-link');
  if (record && linkWasMissing && mayHaveOrphan(record, ports)) await deleteLateLink(hostLink, ports);
  // The next pod with these addresses must not get this one's host ports.
  await removeExtras(owner, ipam.dataDir, ports);
  if (macspoofchk) await ports.macGuard.forget(hostLink);
  await releaseLease(ipam, owner, store, ports);
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
