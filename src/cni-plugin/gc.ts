import { type AddressOwner, listReservations, ownerKey, readReservation } from '../ipam/index.ts';
import { freeDeadClaims, hostPortsOf, ownerOfKey, reservationsOf } from './damage.ts';
import { remove } from './delete.ts';
import { delegateOverall } from './delegation.ts';
import { collectExtras } from './extras.ts';
import { hostLinkName, isHostLinkName } from './names.ts';
import type { PluginOptions } from './options.ts';
import type { CniPorts } from './ports.ts';

/** A guard without a link may be that of an ADD which is about to make it; after this time (ms) it is not. */
const guardPatience = 200;

/**
 * GC (CNI spec 1.1.0, section 2): removes every attachment of this network that is not valid, with all that it has; DELs of it that are still
 * queued are done by that. What records have been damaged leave behind is found by other traces. Tries all, then reports the first failure.
 * Repeatable, also after a kill.
 */
export async function collect(options: PluginOptions, valid: readonly AddressOwner[], ports: CniPorts): Promise<void> {
  const { dataDir } = options.ipam;
  const store = ports.openStore(dataDir, options.name);
  const kept = new Set(valid.map(ownerKey));
  const isKept = (owner: AddressOwner): boolean => kept.has(ownerKey(owner));
  const errors: unknown[] = [];
  const attempt = async (work: () => Promise<void> | void): Promise<void> => {
    try {
      await work();
    } catch (error) {
      errors.push(error);
    }
  };

  for (const key of new Set([...store.owners(), ...store.unfinishedOwners()])) {
    // By the name of its record: what is in it may be damaged.
    const owner = ownerOfKey(key);
    if (owner && !isKept(owner)) await attempt(() => remove(options, readReservation(store, owner) ?? owner, store, ports));
  }
  for (const { owner, forget } of ports.queuedDeletes?.list(options.name) ?? []) {
    if (isKept(owner)) continue;
    await attempt(async () => {
      await remove(options, owner, store, ports);
      forget();
    });
  }
  const { delegate } = options.ipam;
  if (delegate) await attempt(() => delegateOverall(delegate, 'GC', ports));
  await attempt(() => freeDeadClaims(reservationsOf(store, dataDir, options.name), isKept, ports));
  await attempt(() => freeDeadClaims(hostPortsOf(ports.openHostPorts(dataDir), dataDir), isKept, ports));
  const isUsed = (): boolean => kept.size > 0 || listReservations(store).reservations.length > 0;
  await attempt(() => collectExtras(options, isKept, isUsed, ports));
  await attempt(() => collectGuards(new Set(valid.map(({ containerId, ifname }) => hostLinkName(containerId, ifname))), ports));
  if (errors.length > 0) throw errors[0];
}

/** Guards of source MACs whose links are gone: of attachments that were deleted when the configuration had no `macspoofchk` any more. */
async function collectGuards(kept: ReadonlySet<string>, { macGuard, host, sleep }: CniPorts): Promise<void> {
  const withoutLink = async (names: readonly string[]): Promise<readonly string[]> => {
    const { links } = names.length > 0 ? await host.read(names) : { links: new Map() };
    return names.filter((name) => !links.has(name));
  };
  const guarded = (await macGuard.guarded()).filter((link) => isHostLinkName(link) && !kept.has(link));
  const doubtful = await withoutLink(guarded);
  if (doubtful.length === 0) return;
  await sleep(guardPatience);
  for (const link of await withoutLink(doubtful)) await macGuard.forget(link);
}
