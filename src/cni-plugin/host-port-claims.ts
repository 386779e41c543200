import { type AddressOwner, isOwner, ownerKey, releaseMark, type ReservationStore, sameOwner, withoutReleaseMark } from '../ipam/index.ts';
import { tryParseAddress } from '../net/index.ts';
import { CniError, cniErrorCodes } from './errors.ts';
import { type HostPort, hostPortText } from './port-maps.ts';

/** Who has host ports, and which; written down before the kernel is told of them, and removed after. */
export interface HostPortRecord extends AddressOwner {
  readonly network: string;
  /** `namespace/name`, when the runtime told. */
  readonly pod?: string;
  readonly hostPorts: readonly HostPort[];
  /** `releasing`: a DEL has begun. */
  readonly state: 'reserved' | 'releasing';
}

const familyOf = ({ address }: HostPort): 4 | 6 => (address.includes(':') ? 6 : 4);
const portName = (hostPort: HostPort): string => `${hostPort.protocol}.${hostPort.hostPort}.`;
/** `tcp.8080.any4`, `tcp.8080.10.0.0.1`. */
export const hostPortClaim = (hostPort: HostPort): string => `${portName(hostPort)}${hostPort.hostIP ?? `any${familyOf(hostPort)}`}`;

/**
 * Claims all host ports of the record for its owner, or none. A port at one address and the same port at all addresses of the family exclude
 * each other, as in Kubernetes. An owner that holds some already (an ADD that was killed) keeps them.
 * @throws CniError 106 naming the port and both pods; the store's own errors
 */
export function claimHostPorts(store: ReservationStore, record: HostPortRecord): void {
  const key = ownerKey(record);
  store.writeOwner(key, JSON.stringify(record));
  try {
    for (const hostPort of record.hostPorts) {
      const name = hostPortClaim(hostPort);
      if (!store.claim(key, name)) refuseForeign(store, record, hostPort, name);
      for (const other of store.claims().filter((each) => each !== name && clashes(each, hostPort)))
        refuseForeign(store, record, hostPort, other);
    }
  } catch (error) {
    releaseHostPorts(store, record);
    throw error;
  }
}

function clashes(claim: string, hostPort: HostPort): boolean {
  if (!claim.startsWith(portName(hostPort))) return false;
  const at = claim.slice(portName(hostPort).length);
  const family = at === 'any4' ? 4 : at === 'any6' ? 6 : at.includes(':') ? 6 : 4;
  return family === familyOf(hostPort) && (at.startsWith('any') || hostPort.hostIP === undefined);
}

function refuseForeign(store: ReservationStore, record: HostPortRecord, hostPort: HostPort, name: string): void {
  const holder = decodeHostPorts(store.readClaim(name));
  if (holder && sameOwner(holder, record)) return;
  throw new CniError(
    cniErrorCodes.hostPortTaken,
    `host port ${hostPortText(hostPort)} of ${ownerText(record)} is taken by ${holder ? ownerText(holder) : 'an attachment that cannot be read'}`,
    'delete that pod, or give one of them another hostPort or hostIP',
  );
}

const ownerText = ({ pod, containerId, ifname }: HostPortRecord): string =>
  pod === undefined ? `container ${containerId} (${ifname})` : `pod ${pod} (container ${containerId}, ${ifname})`;

/** Undefined when the owner has none. */
export const readHostPorts = (store: ReservationStore, owner: AddressOwner): HostPortRecord | undefined =>
  decodeHostPorts(store.readOwner(ownerKey(owner)));

/** Announces a release, so that nobody puts the ports back into the kernel. Returns the record; undefined when the owner has none. */
export function beginHostPortRelease(store: ReservationStore, owner: AddressOwner): HostPortRecord | undefined {
  const record = readHostPorts(store, owner);
  try {
    if (record?.state === 'reserved') store.appendToOwner(ownerKey(owner), releaseMark);
  } catch {
    // A disk that is full takes no announcement, and stands in nobody's way.
  }
  return record;
}

/** Gives back what the owner holds. Repeatable. */
export function releaseHostPorts(store: ReservationStore, owner: AddressOwner): void {
  for (const hostPort of readHostPorts(store, owner)?.hostPorts ?? []) {
    const holder = decodeHostPorts(store.readClaim(hostPortClaim(hostPort)));
    if (holder && sameOwner(holder, owner)) store.release(hostPortClaim(hostPort));
  }
  store.removeOwner(ownerKey(owner));
}

/** The records of a network. */
export const listHostPorts = (store: ReservationStore, network: string): HostPortRecord[] =>
  store.owners().flatMap((key) => {
    const record = decodeHostPorts(store.readOwner(key));
    return record?.network === network ? [record] : [];
  });

export function decodeHostPorts(text: string | undefined): HostPortRecord | undefined {
  if (text === undefined) return undefined;
  const marked = withoutReleaseMark(text);
  try {
    const record = {
      ...(JSON.parse(marked ?? text) as Partial<HostPortRecord> | null),
      ...(marked === undefined ? {} : { state: 'releasing' }),
    };
    const { network, hostPorts, state } = record;
    if (!isOwner(record) || typeof network !== 'string') return undefined;
    if ((state !== 'reserved' && state !== 'releasing') || !Array.isArray(hostPorts) || !hostPorts.every(isHostPort)) return undefined;
    return record as HostPortRecord;
  } catch {
    return undefined;
  }
}

function isHostPort(value: unknown): boolean {
  const { protocol, hostPort, hostIP, address, containerPort } = (value ?? {}) as Record<string, unknown>;
  const isPort = (port: unknown): boolean => Number.isInteger(port) && (port as number) > 0 && (port as number) < 65_536;
  const isAddress = (text: unknown): boolean => typeof text === 'string' && tryParseAddress(text)?.text === text;
  if (typeof protocol !== 'string' || !['tcp', 'udp', 'sctp'].includes(protocol)) return false;
  return isPort(hostPort) && isPort(containerPort) && isAddress(address) && (hostIP === undefined || isAddress(hostIP));
}
