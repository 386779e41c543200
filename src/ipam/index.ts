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
  ownerKey,
  type ReservationRecord,
  sameOwner,
} from './pod-addresses-record.ts';
export {
  AddressTakenError,
  beginRelease,
  checkRoom,
  holdsReservation,
  listReservations,
  type ReservationRequest,
  type ReservationStore,
  readReservation,
  recordForeignAddresses,
  releaseAddresses,
  reserveAddresses,
} from './pod-addresses-reserve.ts';
export * from './node-cidrs.ts';
export * from './node-cidrs-options.ts';
