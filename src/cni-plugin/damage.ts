import { type AddressOwner, decodeReservation, ownerKey, type ReservationStore, sameOwner } from '../ipam/index.ts';
import { decodeHostPorts, hostPortClaim } from './host-port-claims.ts';

// Records that somebody or something has damaged. What such a record held is found by other traces, so that nothing stays taken for ever; what
// was in its place is kept, and the node's log tells of it.

/** Something was found where a record should be. */
export interface Damage {
  /** Folder of the network's data. */
  readonly dataDir: string;
  /** What it was: `reservation of container c1 eth0 (network podwire)`. */
  readonly what: string;
  /** What became of it. */
  readonly outcome: string;
  /** All of it that can be read. */
  readonly text: string;
}

export interface DamagePort {
  /** Keeps the text aside and tells the node's log. Never throws. */
  reportDamage(damage: Damage): void;
}

/** Where records of one kind are, and how they are read. */
export interface RecordStore {
  readonly store: ReservationStore;
  readonly dataDir: string;
  /** Names the kind in messages. */
  readonly kind: string;
  /** The owner that a record names, and the names that it says are claimed; undefined when it cannot be read. */
  decode(text: string): { readonly owner: AddressOwner; readonly names: readonly string[] } | undefined;
}

export const reservationsOf = (store: ReservationStore, dataDir: string, network: string): RecordStore => ({
  store,
  dataDir,
  kind: `reservation in network ${network}`,
  decode(text) {
    const owner = decodeReservation(text);
    return owner && { owner, names: owner.ipam === undefined ? owner.addresses.map((address) => address.text) : [] };
  },
});

export const hostPortsOf = (store: ReservationStore, dataDir: string): RecordStore => ({
  store,
  dataDir,
  kind: 'host ports',
  decode(text) {
    const owner = decodeHostPorts(text);
    return owner && { owner, names: owner.hostPorts.map(hostPortClaim) };
  },
});

/** Is there something in the place of the owner's record that is not its record? */
export function isDamaged({ store, decode }: RecordStore, owner: AddressOwner): boolean {
  const text = store.readOwner(ownerKey(owner));
  if (text === undefined) return false;
  const record = decode(text);
  return !record || !sameOwner(record.owner, owner);
}

/**
 * The names that are claimed with the owner's damaged record: claims that are the same file, and claims whose own record names the owner.
 * Undefined when the record is not damaged, or there is none.
 */
export function namesOfDamaged(records: RecordStore, owner: AddressOwner): readonly string[] | undefined {
  if (!isDamaged(records, owner)) return undefined;
  const { store, decode } = records;
  const isOf = (claim: string | undefined): boolean => {
    const record = claim === undefined ? undefined : decode(claim);
    return record !== undefined && sameOwner(record.owner, owner);
  };
  return [...new Set([...store.claimsWithRecord(ownerKey(owner)), ...store.claims().filter((name) => isOf(store.readClaim(name)))])];
}

/** Ends a damaged record of the owner with all that is claimed with it. Returns whether it was damaged; else nothing is done. */
export function endDamagedRecord(records: RecordStore, owner: AddressOwner, { reportDamage }: DamagePort): boolean {
  const names = namesOfDamaged(records, owner);
  if (!names) return false;
  const { store, dataDir, kind } = records;
  const outcome = names.length > 0 ? `it held ${names.join(', ')}, which is free now` : 'it held nothing';
  const text = store.readOwner(ownerKey(owner)) ?? '';
  reportDamage({ dataDir, what: `${kind} of container ${owner.containerId} ${owner.ifname}`, outcome, text });
  for (const name of names) store.release(name);
  store.removeOwner(ownerKey(owner));
  return true;
}

/**
 * Frees names that are claimed and that no owner's record tells of, because somebody removed or damaged one. A record is there before its claims
 * and after them, so at rest there are none. What an owner has whose record cannot be read, or who `isKept` though the record is gone, stays: there
 * the claim's own record tells whose it is.
 */
export function freeDeadClaims(
  { store, dataDir, kind, decode }: RecordStore,
  isKept: (owner: AddressOwner) => boolean,
  { reportDamage }: DamagePort,
): void {
  const claims = store.claims().map((name) => ({ name, text: store.readClaim(name) }));
  const held = new Set<string>();
  const [readable, damaged] = [new Set<string>(), new Set<string>()];
  for (const key of store.owners()) {
    const text = store.readOwner(key);
    const record = text === undefined ? undefined : decode(text);
    const isReadable = record !== undefined && ownerKey(record.owner) === key;
    (isReadable ? readable : damaged).add(key);
    // Of a record that cannot be read, what is the same file.
    for (const name of isReadable ? record.names : store.claimsWithRecord(key)) held.add(name);
  }
  const isOwned = (text: string): boolean => {
    const owner = decode(text)?.owner;
    if (!owner) return false;
    const key = ownerKey(owner);
    return !readable.has(key) && (damaged.has(key) || isKept(owner));
  };
  for (const { name, text } of claims) {
    if (text === undefined || held.has(name) || isOwned(text) || store.readClaim(name) !== text) continue;
    reportDamage({ dataDir, what: `${kind}, claim on ${name}`, outcome: 'nobody has it: it is free now', text });
    store.release(name);
  }
}

/** The owner that a record belongs to by its name in the store; undefined for a name that is none. */
export function ownerOfKey(key: string): AddressOwner | undefined {
  const at = key.lastIndexOf('@');
  return at > 0 && at < key.length - 1 ? { containerId: key.slice(0, at), ifname: key.slice(at + 1) } : undefined;
}
