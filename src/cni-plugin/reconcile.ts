import type { ReservationRecord } from '../ipam/index.ts';
import { isHostLinkName } from './names.ts';

/**
 * Reservations whose network namespace is gone. A pod whose namespace file is gone may still run in it, so they are over only if the node's
 * end of their link is gone too. (An ADD that is under way has a namespace and not yet a link.)
 * @param identify inode of the namespace at a path
 */
export const withoutNamespace = (
  reservations: readonly ReservationRecord[],
  identify: (path: string) => number | undefined,
): ReservationRecord[] => reservations.filter(({ netns, netnsInode }) => identify(netns) !== netnsInode);

/** Ports of the bridge that look like this plugin's and belong to no reservation. */
export function strayLinks(ports: readonly string[], reservations: readonly ReservationRecord[]): string[] {
  const known = new Set(reservations.map(({ hostLink }) => hostLink));
  return ports.filter((name) => isHostLinkName(name) && !known.has(name));
}

/** Names an attachment in a log. */
export const attachmentText = ({ containerId, ifname, pod }: ReservationRecord): string => `${pod ?? containerId} ${ifname}`;
