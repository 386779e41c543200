import { type Address, tryParseAddress } from '../net/index.ts';
import { AddressesExhaustedError, chooseAddresses } from './pod-addresses.ts';
import { rangeOf, type RangeSet } from './pod-addresses-range.ts';
import {
  type AddressOwner,
  decodeReservation,
  encodeReservation,
  ownerKey,
  type ReservationRecord,
  sameOwner,
} from './pod-addresses-record.ts';

/** Where reservations are kept: a claim on a name (an address) is exclusive among all processes. `storage/claim-files` is one. */
export interface ReservationStore {
  readOwner(key: string): string | undefined;
  writeOwner(key: string, record: string): void;
  removeOwner(key: string): void;
  owners(): string[];
  claim(key: string, name: string): boolean;
  readClaim(name: string): string | undefined;
  release(name: string): void;
  claims(): string[];
  readNote(name: string): string | undefined;
  writeNote(key: string, name: string, text: string): void;
}

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

const lastNote = 'last-addresses';
const none: ReadonlySet<string> = new Set();

/**
 * Reserves one address of each set, all or none. An owner that holds addresses of these sets already keeps them.
 *
 * The record that names the addresses is written before they are claimed, so at every instruction it names all that the owner may hold,
 * and {@link releaseAddresses} finds them without a search.
 * @param requested the address that is asked for out of the set of the same place; it must be in it
 * @throws AddressesExhaustedError; AddressTakenError for one that was asked for; the store's own errors
 */
export function reserveAddresses(
  store: ReservationStore,
  allSets: readonly RangeSet[],
  request: ReservationRequest,
  requested: readonly (Address | undefined)[] = [],
): ReservationRecord {
  const key = ownerKey(request);
  // What is asked for is a set of one.
  const sets = allSets.map((set, index) => narrowed(set, requested[index]));
  const kept = keepReservation(store, sets, request);
  if (kept) return kept;
  const last = readLast(store);
  // The names taken are listed only after a first try failed: with next-fit that is rare, and listing costs more the more pods there are.
  let taken = none;
  for (;;) {
    const addresses = choose(taken);
    const record: ReservationRecord = { ...request, addresses, state: 'reserved' };
    store.writeOwner(key, encodeReservation(record));
    const refused = addresses.findIndex(({ text }) => !store.claim(key, text));
    if (refused < 0) {
      store.writeNote(key, lastNote, `${addresses.map(({ text }) => text).join(' ')}\n`);
      return record;
    }
    for (const { text } of addresses.slice(0, refused)) store.release(text);
    taken = new Set(store.claims());
  }

  function choose(known: ReadonlySet<string>): Address[] {
    try {
      return chooseAddresses(sets, last, known);
    } catch (error) {
      if (!(error instanceof AddressesExhaustedError)) throw error;
      store.removeOwner(key);
      const address = requested[sets.indexOf(error.set)];
      throw address ? new AddressTakenError(address, ownerName(store, address)) : error;
    }
  }
}

/** The reservation of the owner; undefined when it has none. */
export function readReservation(store: ReservationStore, owner: AddressOwner): ReservationRecord | undefined {
  const text = store.readOwner(ownerKey(owner));
  return text === undefined ? undefined : decodeReservation(text);
}

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
}

/**
 * Announces a release, so that an ADD that is still running gives up. The addresses stay taken until {@link releaseAddresses}.
 * Returns the record; undefined when the owner has none.
 */
export function beginRelease(store: ReservationStore, owner: AddressOwner): ReservationRecord | undefined {
  const record = readReservation(store, owner);
  if (record?.state === 'reserved') store.writeOwner(ownerKey(owner), encodeReservation({ ...record, state: 'releasing' }));
  return record;
}

/** Gives back what the owner holds. Repeatable; an owner without a reservation is fine. */
export function releaseAddresses(store: ReservationStore, owner: AddressOwner): void {
  for (const { text } of readReservation(store, owner)?.addresses ?? []) if (isClaimedBy(store, text, owner)) store.release(text);
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
  chooseAddresses(sets, readLast(store), new Set(store.claims()));
}

/** What an earlier attempt of the same owner holds, if it is whole and fits the sets; else it is released. */
function keepReservation(store: ReservationStore, sets: readonly RangeSet[], request: ReservationRequest): ReservationRecord | undefined {
  const before = readReservation(store, request);
  if (!before) return undefined;
  const { addresses } = before;
  const fits =
    before.state === 'reserved' && addresses.length === sets.length && sets.every((set, index) => rangeOf(set, addresses[index]!));
  const record: ReservationRecord = { ...request, addresses, state: 'reserved' };
  if (fits) {
    store.writeOwner(ownerKey(request), encodeReservation(record));
    if (addresses.every(({ text }) => isClaimedBy(store, text, request) || store.claim(ownerKey(request), text))) return record;
  }
  releaseAddresses(store, request);
  return undefined;
}

function isClaimedBy(store: ReservationStore, name: string, owner: AddressOwner): boolean {
  const text = store.readClaim(name);
  const record = text === undefined ? undefined : decodeReservation(text);
  return record !== undefined && sameOwner(record, owner);
}

const readLast = (store: ReservationStore): (Address | undefined)[] =>
  (store.readNote(lastNote) ?? '').trim().split(' ').map(tryParseAddress);

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
