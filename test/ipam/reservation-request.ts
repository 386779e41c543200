import type { ReservationRequest } from '../../src/ipam/index.ts';

/** What a container asks for, with all that does not matter made up. */
export const reservationRequest = (containerId: string): ReservationRequest => ({
  containerId,
  ifname: 'eth0',
  network: 'n',
  netns: `/run/netns/${containerId}`,
  netnsInode: 7,
  hostLink: 'veth1',
  bootId: 'b',
  reservedAt: '2026-01-01T00:00:00Z',
});
