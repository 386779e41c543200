import type { Address } from '../net/index.ts';
import { choicesOf, defaultQuarantine, poolName, requestedChoices, rest } from './address-pool.ts';
import { releasedLine, reservedLine } from './journal.ts';
import { AddressesExhaustedError, chooseAddresses } from './pod-addresses.ts';
import { rangeOf, type RangeSet } from './pod-addresses-range.ts';
import {
  type AddressOwner,
  decodeReservation,
  encodeReservation,
  ownerKey,
  releaseMark,
  type ReservationRecord,
  sameOwner,
} from './pod-addresses-record.ts';
import type { ReservationStore } from './reservation-store.ts';

/** An address that was asked for belongs to another. */
export class AddressTakenError extends Error {
  readonly address: Address;
  constructor(address: Address, owner: string) {
    super(`${address.text} is taken by ${owner}`);
    this.name = 'AddressTakenError';
    this.address = address;
  }
}

/** What the caller knows of an attachment before it has addresses. */
export type ReservationRequest = Omit<ReservationRecord, 'addresses' | 'state'>;

/**
 * Reserves one address of each set, all or none. An owner that holds addresses of these sets already keeps them.
 *
 * The record that names the addresses is written before they are claimed, so at every instruction it names all that the owner may hold,
 * and {@link releaseAddresses} finds them without a search.
 * @param requested the address that is asked for out of the set of the same place; it must be in it
 * @param quarantine how long (ms) a released address is left alone while there are others
 * @throws AddressesExhaustedError; AddressTakenError for one that was asked for; the store's own errors
 */
export function reserveAddresses(
  store: ReservationStore,
  allSets: readonly RangeSet[],
  request: ReservationRequest,
  requested: readonly (Address | undefined)[] = [],
  quarantine: number = defaultQuarantine,
): ReservationRecord {
  const key = ownerKey(request);
  // What is asked for is a set of one.
  const sets = allSets.map((set, index) => narrowed(set, requested[index]));
  const kept = keepReservation(store, sets, request);
  if (kept) return kept;
  const pool = poolName(allSets);
  const choices = requested.some(Boolean) ? requestedChoices(store, sets, pool) : choicesOf(store, sets, quarantine);
  try {
    for (const { addresses, settle } of choices) {
      const record: ReservationRecord = { ...request, addresses, pool, state: 'reserved' };
      store.writeOwner(key, encodeReservation(record));
      const refused = addresses.findIndex(({ text }) => !store.claim(key, text));
      if (refused < 0) {
        settle();
        store.journal(reservedLine(record, store.now()));
        return record;
      }
      for (const { text } of addresses.slice(0, refused)) store.release(text);
    }
  } catch (error) {
    if (!(error instanceof AddressesExhaustedError)) throw error;
    store.removeOwner(key);
    const address = requested[sets.indexOf(error.set)];
    throw address ? new AddressTakenError(address, ownerName(store, address)) : error;
  }
  throw new RangeError('no set of ranges to reserve addresses from');
}

/** The reservation of the owner; undefined when it has none. */
export function readReservation(store: ReservationStore, owner: AddressOwner): ReservationRecord | undefined {
  const text = store.readOwner(ownerKey(owner));
  return text === undefined ? undefined : decodeReservation(text);
}

/**
 * Is the reservation still as it was made, by the one that made it? At the price of reading one file, and therefore without a look at the
 * addresses: nobody but a release takes those away, and a release is announced first.
 */
export const isReserved = (store: ReservationStore, record: ReservationRecord): boolean =>
  store.readOwner(ownerKey(record)) === encodeReservation(record);

/** Does the owner still hold every address of its record, and is no release under way? */
export function holdsReservation(store: ReservationStore, record: ReservationRecord): boolean {
  const current = readReservation(store, record);
  if (current?.state !== 'reserved') return false;
  return record.ipam !== undefined || record.addresses.every(({ text }) => isClaimedBy(store, text, record));
}

/** Writes down an attachment whose addresses come from elsewhere. What the owner had reserved here before is released. */
export function recordForeignAddresses(store: ReservationStore, record: ReservationRecord & { readonly ipam: string }): void {
  if (readReservation(store, record)?.ipam === undefined) releaseAddresses(store, record);
  store.writeOwner(ownerKey(record), encodeReservation(record));
  if (record.addresses.length > 0) store.journal(reservedLine(record, store.now()));
}

/**
 * Announces a release, so that an ADD that is still running gives up. The addresses stay taken until {@link releaseAddresses}.
 * Returns the record; undefined when the owner has none.
 */
export function beginRelease(store: ReservationStore, owner: AddressOwner): ReservationRecord | undefined {
  const record = readReservation(store, owner);
  if (record?.state === 'reserved') store.appendToOwner(ownerKey(owner), releaseMark);
  return record;
}

/** Gives back what the owner holds. Repeatable; an owner without a reservation is fine. */
export function releaseAddresses(store: ReservationStore, owner: AddressOwner): void {
  const record = readReservation(store, owner);
  if (record) {
    const held = record.addresses.filter(({ text }) => isClaimedBy(store, text, owner));
    const ended = record.ipam === undefined ? held : record.addresses;
    // Before anybody else can have them, so that in the journal nobody had one at the same time as another.
    if (ended.length > 0) store.journal(releasedLine({ ...record, addresses: ended }, store.now()));
    for (const { text } of held) store.release(text);
    if (record.pool !== undefined) rest(store, record.pool, held);
  }
  store.removeOwner(ownerKey(owner));
}

/** The range of the set with the address, cut down to it. */
function narrowed(set: RangeSet, address: Address | undefined): RangeSet {
  const range = address && rangeOf(set, address);
  return range ? [{ ...range, start: address, end: address }] : set;
}

function ownerName(store: ReservationStore, { text }: Address): string {
  const record = decodeReservation(store.readClaim(text) ?? '');
  return record ? `${record.pod ? `pod ${record.pod}, ` : ''}container ${record.containerId} ${record.ifname}` : 'another container';
}

/** All reservations, and the names in the store that no reservation explains (damaged or foreign files). */
export function listReservations(store: ReservationStore): { reservations: ReservationRecord[]; unexplained: string[] } {
  const claims = store.claims();
  const owners = store.owners();
  const reservations: ReservationRecord[] = [];
  const unexplained: string[] = [];
  for (const key of owners) {
    const text = store.readOwner(key);
    const record = text === undefined ? undefined : decodeReservation(text);
    if (record) reservations.push(record);
    else if (text !== undefined) unexplained.push(key);
  }
  const explained = new Set(reservations.flatMap(({ addresses }) => addresses.map(({ text }) => text)));
  // A claim seen before its owner was gone is gone too by now.
  unexplained.push(...claims.filter((name) => !explained.has(name) && store.readClaim(name) !== undefined));
  return { reservations: reservations.sort((a, b) => compareText(ownerKey(a), ownerKey(b))), unexplained };
}

/** @throws AddressesExhaustedError when a reservation would fail now. */
export function checkRoom(store: ReservationStore, sets: readonly RangeSet[]): void {
  chooseAddresses(sets, [], new Set(store.claims()));
}

/** What an earlier attempt of the same owner holds, if it is whole and fits the sets; else it is released. */
function keepReservation(store: ReservationStore, sets: readonly RangeSet[], request: ReservationRequest): ReservationRecord | undefined {
  const before = readReservation(store, request);
  if (!before) return undefined;
  const { addresses } = before;
  const fits =
    before.state === 'reserved' && addresses.length === sets.length && sets.every((set, index) => rangeOf(set, addresses[index]!));
  const { pool } = before;
  const record: ReservationRecord = { ...request, addresses, ...(pool === undefined ? {} : { pool }), state: 'reserved' };
  if (fits) {
    store.writeOwner(ownerKey(request), encodeReservation(record));
    if (addresses.every(({ text }) => isClaimedBy(store, text, request) || store.claim(ownerKey(request), text))) {
      store.journal(reservedLine(record, store.now()));
      return record;
    }
  }
  releaseAddresses(store, request);
  return undefined;
}

function isClaimedBy(store: ReservationStore, name: string, owner: AddressOwner): boolean {
  const text = store.readClaim(name);
  const record = text === undefined ? undefined : decodeReservation(text);
  return record !== undefined && sameOwner(record, owner);
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
