import type { ReservationRecord } from '../ipam/index.ts';

/** Plain data about the node's network, for the control API. */
export interface CniReport {
  readonly network: string;
  readonly bridge: string;
  readonly podCIDRs: readonly string[];
  /** Path of the network configuration; empty while there is none. */
  readonly conflist: string;
  readonly executable: string;
  readonly attachments: readonly AttachmentReport[];
  /** What keeps it from working, in words. */
  readonly problems: readonly string[];
}

export interface AttachmentReport {
  /** `namespace/name`, or the container id when the runtime told no pod. */
  readonly pod: string;
  readonly containerId: string;
  /** Name of the link in the pod. */
  readonly interface: string;
  /** Name of the node's end of the pair. */
  readonly hostLink: string;
  readonly netns: string;
  readonly addresses: readonly string[];
  /** RFC 3339. */
  readonly since: string;
  /** `releasing`: a DEL has begun and not ended. */
  readonly state: 'reserved' | 'releasing';
}

/** One report of each reservation, by pod. */
export const attachmentReports = (reservations: readonly ReservationRecord[]): AttachmentReport[] =>
  reservations
    .map(({ pod, containerId, ifname, hostLink, netns, addresses, reservedAt, state }) => ({
      pod: pod ?? containerId,
      containerId,
      interface: ifname,
      hostLink,
      netns,
      addresses: addresses.map(({ text }) => text),
      since: reservedAt,
      state,
    }))
    .sort((a, b) => (a.pod < b.pod ? -1 : a.pod > b.pod ? 1 : 0));
