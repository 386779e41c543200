/** Where reservations are kept: a claim on a name (an address) is exclusive among all processes. `storage/claim-files` is one. */
export interface ReservationStore {
  readOwner(key: string): string | undefined;
  writeOwner(key: string, record: string): void;
  /** Appends to the owner's record, and with it to what its claims show; does nothing when there is none. */
  appendToOwner(key: string, text: string): void;
  removeOwner(key: string): void;
  owners(): string[];
  /** Owners whose record was being written when its writer was killed, or is at this moment. */
  unfinishedOwners(): string[];
  claim(key: string, name: string): boolean;
  readClaim(name: string): string | undefined;
  /** Cheaper than reading the claim. */
  isClaimed(name: string): boolean;
  release(name: string): void;
  claims(): string[];
  /** The names claimed with the very record that the owner has now, whatever is in it; for records that are damaged. */
  claimsWithRecord(key: string): string[];
  readNote(name: string): string | undefined;
  writeNote(key: string, name: string, text: string): void;
  /** Lines that are read in the order in which they were pushed, and a remark; `storage/line-queue` has the details. Nothing in it is exclusive. */
  readonly queues: {
    read(name: string, from?: number): AddressQueuePage | undefined;
    advance(name: string, id: number | undefined, head: number, remark: string): void;
    push(name: string, lines: readonly string[]): void;
  };
  /** Writes a line down for good. Never throws. */
  journal(line: string): void;
  /** Milliseconds since the epoch. */
  now(): number;
}

export interface AddressQueuePage {
  readonly id: number;
  readonly head: number;
  readonly remark: string;
  readonly lines: readonly { readonly text: string; readonly next: number }[];
}
