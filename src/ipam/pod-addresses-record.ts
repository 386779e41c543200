import { type Address, tryParseAddress } from '../net/index.ts';

/** Who has addresses: one attachment of a container to a network. */
export interface AddressOwner {
  readonly containerId: string;
  readonly ifname: string;
}

/** What is written down about an attachment, as JSON. */
export interface ReservationRecord extends AddressOwner {
  /** Name of the network. */
  readonly network: string;
  /** `namespace/name`, when the runtime told. */
  readonly pod?: string;
  /** Path of the network namespace, and its inode number. */
  readonly netns: string;
  readonly netnsInode: number;
  /** Name of the node's end of the veth pair. */
  readonly hostLink: string;
  readonly addresses: readonly Address[];
  /** Where the addresses come from when not from here: the type of another IPAM plugin, or `none`. Nothing is claimed for them then. */
  readonly ipam?: string;
  /** Where the addresses rest when they are released: the name of their pool. Absent when they are not from here. */
  readonly pool?: string;
  /** `releasing`: a DEL has begun. */
  readonly state: 'reserved' | 'releasing';
  readonly bootId: string;
  /** RFC 3339. */
  readonly reservedAt: string;
}

/** File name of an owner: neither part holds an @ or a slash. */
export const ownerKey = ({ containerId, ifname }: AddressOwner): string => `${containerId}@${ifname}`;

/** As CNI_CONTAINERID may be (CNI spec, section 2 "Parameters"). */
export const isContainerId = (text: string): boolean => /^[a-zA-Z0-9][\w.-]{0,199}$/.test(text);

/** What names an owner in a record, if it can be a name at all. */
export const isOwner = (value: { readonly containerId?: unknown; readonly ifname?: unknown }): value is AddressOwner =>
  typeof value.containerId === 'string' &&
  isContainerId(value.containerId) &&
  typeof value.ifname === 'string' &&
  /^[^\s/:@\0]{1,15}$/.test(value.ifname);

export const sameOwner = (a: AddressOwner, b: AddressOwner): boolean => a.containerId === b.containerId && a.ifname === b.ifname;

export const encodeReservation = (record: ReservationRecord): string =>
  `${JSON.stringify({ ...record, addresses: record.addresses.map(({ text }) => text) }, null, 2)}\n`;

/** Appended to a record: its owner gives back what it holds. */
export const releaseMark = '"releasing"\n';

/** A record without the marks of those who have begun to release it; undefined when there is none. */
export function withoutReleaseMark(text: string): string | undefined {
  let end = text.length;
  while (text.endsWith(releaseMark, end)) end -= releaseMark.length;
  return end === text.length ? undefined : text.slice(0, end);
}

/** Undefined for anything that {@link encodeReservation} did not write, with or without {@link releaseMark} behind it. */
export function decodeReservation(text: string): ReservationRecord | undefined {
  const marked = withoutReleaseMark(text);
  let fields: Record<string, unknown>;
  try {
    const value: unknown = JSON.parse(marked ?? text);
    if (typeof value !== 'object' || value === null) return undefined;
    fields = { ...value, ...(marked === undefined ? {} : { state: 'releasing' }) };
  } catch {
    return undefined;
  }
  const { network, pod, ipam, pool, netns, netnsInode, hostLink, addresses, state, bootId, reservedAt } = fields;
  if (!isOwner(fields)) return undefined;
  for (const field of [network, netns, hostLink, bootId, reservedAt]) if (typeof field !== 'string') return undefined;
  for (const field of [pod, ipam, pool]) if (field !== undefined && typeof field !== 'string') return undefined;
  if (typeof netnsInode !== 'number' || (state !== 'reserved' && state !== 'releasing') || !Array.isArray(addresses)) return undefined;
  const parsed = addresses.map((address) => (typeof address === 'string' ? tryParseAddress(address) : undefined));
  if (parsed.includes(undefined)) return undefined;
  return { ...(fields as unknown as ReservationRecord), addresses: parsed as Address[] };
}
