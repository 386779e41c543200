import { type Address, tryParseAddress } from '../net/index.ts';
import type { AddressOwner, ReservationRecord } from './pod-addresses-record.ts';

/**
 * One line of the journal: who got or gave back which addresses, and when.
 *
 *     2026-01-01T00:00:00.000Z reserved 10.244.1.7,fd00::7 default/web eth0 CONTAINER boot=1a2b3c4d
 *     2026-01-01T00:05:00.000Z released 10.244.1.7,fd00::7 default/web eth0 CONTAINER boot=1a2b3c4d since=2026-01-01T00:00:00.000Z
 */
export interface JournalEntry extends AddressOwner {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly event: 'reserved' | 'released';
  readonly addresses: readonly Address[];
  /** `namespace/name`, when the runtime told. */
  readonly pod?: string;
  /** The first 8 characters of the boot id: what is held ends with the boot. */
  readonly boot: string;
  /** Of what was released: when it was reserved (ms). */
  readonly since?: number;
}

type Journaled = Pick<ReservationRecord, 'containerId' | 'ifname' | 'addresses' | 'pod' | 'bootId' | 'reservedAt'>;

export const reservedLine = (record: Journaled, at: number): string => lineOf('reserved', record, at);

export const releasedLine = (record: Journaled, at: number): string => `${lineOf('released', record, at)} since=${word(record.reservedAt)}`;

const lineOf = (event: JournalEntry['event'], { containerId, ifname, addresses, pod, bootId }: Journaled, at: number): string =>
  [
    new Date(at).toISOString(),
    event,
    addresses.map(({ text }) => text).join(','),
    word(pod ?? '-'),
    word(ifname),
    word(containerId),
    `boot=${bootMark(bootId)}`,
  ].join(' ');

/** What tells one boot from another in the journal. */
export const bootMark = (bootId: string): string => word(bootId).slice(0, 8);

// oxlint-disable-next-line no-control-regex
const word = (text: string): string => text.replace(/[\s\u0000-\u001f]/g, '_');

// Not from the beginning of the line: a line that a power loss cut short has no end, and the next one follows on it.
const linePattern =
  /(\d{4}-\d\d-\d\dT[\d:.]+Z) (reserved|released) ([\da-f:.,]+) (\S+) (\S{1,15}) (\S+) boot=(\S{1,8})(?: since=(\d{4}-\d\d-\d\dT[\d:.]+Z))?$/;

/** The entries of a journal, in order; what is none is left out. */
export function parseJournal(text: string): JournalEntry[] {
  return text.split('\n').flatMap((line): JournalEntry[] => {
    const match = line.length > 4_096 ? null : linePattern.exec(line);
    if (!match) return [];
    const [, time = '', event, list = '', pod = '', ifname = '', containerId = '', boot = '', since] = match;
    const at = Date.parse(time);
    const addresses = list.split(',').map(tryParseAddress);
    if (Number.isNaN(at) || addresses.includes(undefined)) return [];
    return [
      {
        at,
        event: event as JournalEntry['event'],
        addresses: addresses as Address[],
        ...(pod === '-' ? {} : { pod }),
        ifname,
        containerId,
        boot,
        ...(since === undefined || Number.isNaN(Date.parse(since)) ? {} : { since: Date.parse(since) }),
      },
    ];
  });
}

/** For how long somebody had an address. */
export interface Tenure extends AddressOwner {
  readonly address: Address;
  readonly pod?: string;
  /** Milliseconds since the epoch; undefined when the journal does not reach back so far. */
  readonly from?: number;
  /** Undefined while it lasts, and when nobody knows. Of what ended without a line of its own it is the latest time that it can have ended. */
  readonly until?: number;
  /** How it ended: by a release, with the boot, or in a way that left no line before the next owner's. */
  readonly end: 'held' | 'released' | 'reboot' | 'unknown';
}

/**
 * Who had which address when, by the beginning of the time.
 * @param boot mark of the running boot: nothing of another one is held any more
 */
export function tenuresOf(entries: readonly JournalEntry[], boot: string): Tenure[] {
  const tenures: Tenure[] = [];
  const open = new Map<string, { entry: JournalEntry; address: Address }>();
  const close = (key: string, end: Pick<Tenure, 'end' | 'until'>): void => {
    const begun = open.get(key);
    if (!begun) return;
    open.delete(key);
    tenures.push({ ...ownerOf(begun.entry), address: begun.address, from: begun.entry.at, ...end });
  };
  let running: string | undefined;
  for (const entry of entries) {
    if (running !== undefined && entry.boot !== running) for (const key of [...open.keys()]) close(key, { end: 'reboot', until: entry.at });
    running = entry.boot;
    for (const address of entry.addresses) {
      const before = open.get(address.text)?.entry;
      const isSame = before?.containerId === entry.containerId && before.ifname === entry.ifname;
      if (entry.event === 'reserved') {
        // Said again by an ADD that was repeated.
        if (isSame) continue;
        close(address.text, { end: 'unknown', until: entry.at });
        open.set(address.text, { entry, address });
      } else if (isSame) close(address.text, { end: 'released', until: entry.at });
      else if (entry.since !== undefined && !tenures.some((tenure) => isLast(tenure, entry, address)))
        tenures.push({ ...ownerOf(entry), address, from: entry.since, until: entry.at, end: 'released' });
    }
  }
  for (const [key, { entry }] of open) close(key, { end: entry.boot === boot ? 'held' : 'reboot' });
  return tenures.sort((a, b) => (a.from ?? 0) - (b.from ?? 0));
}

/** A release that was repeated is told twice. */
const isLast = ({ address, containerId, from }: Tenure, entry: JournalEntry, released: Address): boolean =>
  address.text === released.text && containerId === entry.containerId && from !== undefined && from >= (entry.since ?? 0) - 1_000;

const ownerOf = ({ containerId, ifname, pod }: JournalEntry): AddressOwner & Pick<Tenure, 'pod'> => ({
  containerId,
  ifname,
  ...(pod === undefined ? {} : { pod }),
});
