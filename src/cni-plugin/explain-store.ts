import type { ReservationStore } from '../ipam/index.ts';

/**
 * A store that shows what the real one holds and keeps what is written to it to itself.
 * @param note is told what would have been written, in words
 */
export function overlayStore(real: ReservationStore, note: (text: string) => void): ReservationStore {
  const owners = new Map<string, string | undefined>();
  const claims = new Map<string, string | undefined>();
  const notes = new Map<string, string>();
  const names = (own: ReadonlyMap<string, string | undefined>, others: readonly string[]): string[] => [
    ...others.filter((name) => !own.has(name)),
    ...[...own].flatMap(([name, text]) => (text === undefined ? [] : [name])),
  ];
  const readOwner = (key: string): string | undefined => (owners.has(key) ? owners.get(key) : real.readOwner(key));
  const readClaim = (name: string): string | undefined => (claims.has(name) ? claims.get(name) : real.readClaim(name));
  const isClaimed = (name: string): boolean => (claims.has(name) ? claims.get(name) !== undefined : real.isClaimed(name));
  return {
    ...real,
    readOwner,
    writeOwner: (key, record) => void owners.set(key, record),
    appendToOwner(key, text) {
      const record = readOwner(key);
      if (record !== undefined) owners.set(key, record + text);
    },
    removeOwner(key) {
      if (readOwner(key) !== undefined) note(`remove the record of ${key}`);
      owners.set(key, undefined);
    },
    owners: () => names(owners, real.owners()),
    claim(key, name) {
      if (isClaimed(name)) return false;
      note(`claim ${name} for ${key}`);
      claims.set(name, readOwner(key) ?? '');
      return true;
    },
    readClaim,
    isClaimed,
    release(name) {
      if (isClaimed(name)) note(`release ${name}`);
      claims.set(name, undefined);
    },
    claims: () => names(claims, real.claims()),
    claimsWithRecord: (key) => (owners.has(key) ? [] : real.claimsWithRecord(key).filter(isClaimed)),
    readNote: (name) => notes.get(name) ?? real.readNote(name),
    writeNote: (_key, name, text) => void notes.set(name, text),
    queues: { read: real.queues.read, advance: () => undefined, push: () => undefined },
    journal: () => undefined,
  };
}
