import {
  AddressesExhaustedError,
  checkRoom,
  holdsReservation,
  isReserved,
  ownerKey,
  readReservation,
  releaseAddresses,
} from '../ipam/index.ts';
import { endDamagedRecord, freeDeadClaims, ownerOfKey, reservationsOf } from './damage.ts';
import { announceRelease } from './delete.ts';
import { CniError, cniErrorCodes } from './errors.ts';
import type { Fields } from './fields.ts';
import type { IpamRequest } from './input.ts';
import { ownLease } from './lease.ts';
import { deletedMeanwhile, reserveOwn } from './leases.ts';
import { hostLinkName } from './names.ts';
import type { CniPorts } from './ports.ts';
import { renderCniResult } from './render/result.ts';
import { parseResult } from './results.ts';

/**
 * Our address manager alone, for another interface plugin (CNI spec 1.1.0, section 4): addresses, routes and DNS settings without interfaces.
 * Returns what ADD answers; nothing for the other commands.
 */
export function serveIpam(request: IpamRequest, ports: CniPorts): object | undefined {
  const { options } = request;
  const store = ports.openStore(options.ipam.dataDir, options.name);
  const records = reservationsOf(store, options.ipam.dataDir, options.name);
  switch (request.command) {
    case 'ADD': {
      endDamagedRecord(records, request.attachment, ports);
      const { containerId, ifname, netns, pod } = request.attachment;
      const { record, lease } = reserveOwn(
        options,
        {
          containerId,
          ifname,
          network: options.name,
          ...(pod === undefined ? {} : { pod }),
          netns,
          netnsInode: ports.namespaceIdentity(netns)?.inode ?? 0,
          hostLink: hostLinkName(containerId, ifname),
          bootId: ports.bootId,
          reservedAt: new Date(ports.now()).toISOString(),
        },
        store,
        ports,
      );
      if (!isReserved(store, record)) throw deletedMeanwhile(request.attachment);
      return renderCniResult(
        { interfaces: [], ips: lease.addresses, routes: lease.routes, dns: { ...lease.dns, ...options.runtime.dns } },
        options.cniVersion,
      );
    }
    case 'DEL':
      endDamagedRecord(records, request.attachment, ports);
      announceRelease(store, request.attachment);
      releaseAddresses(store, request.attachment);
      return undefined;
    case 'CHECK':
      check(request, ports);
      return undefined;
    case 'GC': {
      const valid = new Set(request.valid.map(ownerKey));
      for (const key of store.owners()) {
        const owner = ownerOfKey(key);
        if (owner && !valid.has(key) && !endDamagedRecord(records, owner, ports)) releaseAddresses(store, owner);
      }
      freeDeadClaims(records, (owner) => valid.has(ownerKey(owner)), ports);
      return undefined;
    }
    case 'STATUS':
      try {
        checkRoom(store, options.ipam.ranges);
      } catch (error) {
        if (error instanceof AddressesExhaustedError)
          throw new CniError(cniErrorCodes.unavailable, `network ${options.name}: ${error.message}`);
        throw error;
      }
      return undefined;
  }
}

/** Are the addresses of the result still the container's? @throws CniError 104 */
function check(
  { options, attachment, prevResult }: { prevResult: Fields } & Pick<Extract<IpamRequest, { command: 'CHECK' }>, 'options' | 'attachment'>,
  ports: CniPorts,
): void {
  const store = ports.openStore(options.ipam.dataDir, options.name);
  const record = readReservation(store, attachment);
  const repair = 'repair: DEL and ADD the pod again';
  if (!record || !holdsReservation(store, record))
    throw new CniError(
      cniErrorCodes.notAsAdded,
      `no reservation for container ${attachment.containerId} ${attachment.ifname} in ${options.ipam.dataDir}`,
      repair,
    );
  const told = parseResult(prevResult, 'prevResult').ips.map(({ address }) => address.address.text);
  const missing = ownLease(options.ipam, record.addresses).addresses.filter(({ address }) => !told.includes(address.address.text));
  if (missing.length > 0)
    throw new CniError(
      cniErrorCodes.notAsAdded,
      `reserved address ${missing.map(({ address }) => address.address.text).join(', ')} is not in prevResult (${told.join(', ') || 'none'})`,
      repair,
    );
}
