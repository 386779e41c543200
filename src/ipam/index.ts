export { AddressesExhaustedError, chooseAddresses, nextFree, type TakenAddresses, walkFrom } from './pod-addresses.ts';
export {
  type AddressRange,
  familyOf,
  InvalidRangeError,
  parseRangeSets,
  type RangeConfig,
  type RangeSet,
  rangeOf,
  rangeText,
} from './pod-addresses-range.ts';
export {
  type AddressOwner,
  decodeReservation,
  encodeReservation,
  isContainerId,
  isOwner,
  ownerKey,
  releaseMark,
  type ReservationRecord,
  sameOwner,
  withoutReleaseMark,
} from './pod-addresses-record.ts';
export {
  AddressTakenError,
  beginRelease,
  checkRoom,
  holdsReservation,
  isReserved,
  listReservations,
  type ReservationRequest,
  readReservation,
  recordForeignAddresses,
  releaseAddresses,
  reserveAddresses,
} from './pod-addresses-reserve.ts';
export { defaultQuarantine } from './address-pool.ts';
export { bootMark, type JournalEntry, parseJournal, type Tenure, tenuresOf } from './journal.ts';
export type { ReservationStore } from './reservation-store.ts';
export * from './node-cidrs.ts';
export * from './node-cidrs-options.ts';
