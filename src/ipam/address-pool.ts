import { type Address, tryParseAddress } from '../net/index.ts';
import { chooseAddresses, nextFree, sameOffset, type TakenAddresses, walkFrom, walkOn } from './pod-addresses.ts';
import { rangeOf, type RangeSet } from './pod-addresses-range.ts';
import type { AddressQueuePage, ReservationStore } from './reservation-store.ts';

/**
 * How long (ms) a released address is left alone while there are others: as long as the kernel remembers an idle UDP stream
 * (net.netfilter.nf_conntrack_udp_timeout_stream), so that nobody's answers reach the next pod.
 */
export const defaultQuarantine = 120_000;

/** As many addresses that were in no queue are put into it at once. */
const recovered = 1_024;

/** Addresses that may be free, one per set. */
export interface Choice {
  readonly addresses: readonly Address[];
  /** To be called once all of them are claimed. */
  settle(): void;
}

/** A queue is named after the first range of the first set: the addresses that rest in it belong together. */
export const poolName = ([set]: readonly RangeSet[]): string => (set?.[0] ? `${set[0].start.text}-${set[0].end.text}` : 'none');

/** Does the text look like {@link poolName}? It becomes part of a file name. */
const isPoolName = (text: string): boolean => /^[\da-f:.]{1,60}-[\da-f:.]{1,60}$/.test(text);

/** Puts addresses that were given together at the end of their pool's queue. */
export function rest(store: ReservationStore, pool: string, addresses: readonly Address[]): void {
  if (isPoolName(pool) && addresses.length > 0) store.queues.push(pool, [restingLine(addresses, store.now())]);
}

const restingLine = (addresses: readonly Address[], since: number): string =>
  `${addresses.map(({ text }) => text).join(' ')} ${new Date(since).toISOString()}`;

/**
 * Choices to be tried one after the other until one can be claimed, in this order:
 *
 *  1. addresses that were released and have rested
 *  2. addresses that never were given, one after another
 *  3. addresses that still rest, the one that was released first before the others
 *  4. addresses that nobody has although they are in no queue: whoever gave them back was killed. Only this one looks at all claims.
 *
 * So a choice costs the same however many addresses are taken.
 * @param quarantine how long released addresses rest (ms)
 * @throws AddressesExhaustedError when there is nothing left to choose
 */
export function* choicesOf(store: ReservationStore, sets: readonly RangeSet[], quarantine: number): Generator<Choice> {
  const pool = poolName(sets);
  const page = store.queues.read(pool);
  const { last, hasAsked } = readRemark(page);
  const asked = hasAsked ? readAsked(store, pool) : noAddresses;
  // What somebody asked for was given out of turn: it is not new when its turn comes, but in the queue.
  const taken: TakenAddresses = { has: (name) => store.isClaimed(name) || asked.has(name) };
  const queue = queueOf(store, pool, page, sets[0] ?? [], asked);
  const settling = (addresses: readonly Address[], isNew: boolean): Choice => ({
    addresses,
    settle() {
      // What comes back does not change where to look for new ones.
      store.queues.advance(pool, page?.id, queue.head, remarkOf([isNew ? addresses[0] : last[0], ...addresses.slice(1)], hasAsked));
    },
  });
  const othersOf = (first: Address, together: readonly Address[]): readonly Address[] | undefined => {
    // What was given together rests together.
    const partners = together.filter(({ text }) => !store.isClaimed(text));
    return withOthers(first, partners, sets, last, taken);
  };
  function* resting(isDue: (since: number) => boolean): Generator<Choice> {
    for (let found = queue.next(isDue); found; found = queue.next(isDue)) {
      const addresses = othersOf(found.first, found.together);
      // Nothing is left of another set: the look at all claims tells for sure.
      if (!addresses) return;
      yield settling(addresses, false);
    }
  }

  yield* resting((since) => store.now() - since >= quarantine);
  for (const address of walkOn(sets[0] ?? [], last[0])) {
    if (taken.has(address.text)) continue;
    const addresses = othersOf(address, []);
    if (!addresses) break;
    yield settling(addresses, true);
  }
  // From now on nothing is to be found there.
  last[0] = sets[0]?.at(-1)?.end;
  yield* resting(() => true);
  for (;;) {
    const claims = new Set(store.claims());
    const addresses = chooseAddresses(sets, last, claims);
    yield {
      addresses,
      settle() {
        settling(addresses, false).settle();
        for (const { text } of addresses) claims.add(text);
        recover(store, pool, sets[0] ?? [], claims);
      },
    };
  }
}

/**
 * Choices when some addresses are asked for: those sets hold nothing else. They are given whether they rest or not.
 * @param pool name of the queue that knows where to go on looking in the other sets
 * @throws AddressesExhaustedError when one of the sets is used up
 */
export function* requestedChoices(store: ReservationStore, sets: readonly RangeSet[], pool: string): Generator<Choice> {
  const page = store.queues.read(pool);
  const { last } = readRemark(page);
  for (;;) {
    const addresses = chooseAddresses(sets, last, { has: (name) => store.isClaimed(name) });
    yield {
      addresses,
      settle() {
        const known = readAsked(store, pool);
        const added = addresses.flatMap(({ text }) => (known.has(text) ? [] : [text]));
        if (known.size === 0) store.queues.advance(askedName(pool), undefined, 0, '');
        store.queues.push(askedName(pool), added);
        store.queues.advance(pool, page?.id, page?.head ?? 0, remarkOf(last, true));
      },
    };
  }
}

/** A list of addresses that were given out of turn. */
const askedName = (pool: string): string => `${pool}.asked`;

const noAddresses: ReadonlySet<string> = new Set();

function readAsked(store: ReservationStore, pool: string): ReadonlySet<string> {
  const asked = new Set<string>();
  for (let page = store.queues.read(askedName(pool)); page && page.lines.length > 0; ) {
    for (const { text } of page.lines) asked.add(text);
    page = store.queues.read(askedName(pool), page.lines.at(-1)!.next);
  }
  return asked;
}

/** The remark of a queue: whether addresses were given out of turn, and which were given last, one per set. */
const remarkOf = (last: readonly (Address | undefined)[], hasAsked: boolean): string =>
  [...(hasAsked ? ['asked'] : []), ...last.map((address) => address?.text ?? '-')].join(' ');

function readRemark(page: AddressQueuePage | undefined): { last: (Address | undefined)[]; hasAsked: boolean } {
  const words = (page?.remark ?? '').split(' ');
  const hasAsked = words[0] === 'asked';
  return { hasAsked, last: words.slice(hasAsked ? 1 : 0).map(tryParseAddress) };
}

/** Puts the free addresses of the set into the queue, as having rested for long. */
function recover(store: ReservationStore, pool: string, set: RangeSet, claims: ReadonlySet<string>): void {
  const lines: string[] = [];
  for (const address of walkFrom(set, undefined)) {
    if (lines.length === recovered) break;
    if (!claims.has(address.text)) lines.push(restingLine([address], 0));
  }
  if (lines.length > 0) store.queues.push(pool, lines);
}

/** Does a line of the queue from this place on have the address? */
function isInQueue(store: ReservationStore, pool: string, { text }: Address, from: number): boolean {
  for (let page = store.queues.read(pool, from); page && page.lines.length > 0; page = store.queues.read(pool, page.lines.at(-1)!.next))
    if (page.lines.some((line) => parseResting(line.text)?.addresses.some((address) => address.text === text))) return true;
  return false;
}

/**
 * What rests in the queue. `head` moves past what was looked at, but not past what does not leave the queue yet. An address that was `asked` for
 * while it rested is in the queue once more when it is released again, and rests until that last line's time.
 */
function queueOf(store: ReservationStore, pool: string, page: AddressQueuePage | undefined, set: RangeSet, asked: ReadonlySet<string>) {
  let lines = page?.lines ?? [];
  let index = 0;
  const queue = {
    head: page?.head ?? 0,
    /** The next line with an address of the set that nobody has, if it is due. */
    next(isDue: (since: number) => boolean): { first: Address; together: readonly Address[] } | undefined {
      while (lines.length > 0) {
        const line = lines[index];
        if (!line) {
          lines = store.queues.read(pool, queue.head)?.lines ?? [];
          index = 0;
          continue;
        }
        const resting = parseResting(line.text);
        if (resting && !isDue(resting.since)) return undefined;
        index++;
        queue.head = line.next;
        const together =
          resting?.addresses.filter((address) => !asked.has(address.text) || !isInQueue(store, pool, address, line.next)) ?? [];
        const first = together.find((address) => rangeOf(set, address) && !store.isClaimed(address.text));
        if (first) return { first, together };
      }
      return undefined;
    },
  };
  return queue;
}

function parseResting(line: string): { addresses: Address[]; since: number } | undefined {
  const words = line.split(' ');
  const since = Date.parse(words.pop() ?? '');
  const addresses = words.flatMap((word) => tryParseAddress(word) ?? []);
  return Number.isNaN(since) || addresses.length === 0 ? undefined : { addresses, since };
}

/**
 * The address of the first set with one of each other set: one of its partners, the one with the same offset, or the next one.
 * Undefined when one of those sets has none left that is not in a queue.
 */
function withOthers(
  first: Address,
  partners: readonly Address[],
  sets: readonly RangeSet[],
  last: readonly (Address | undefined)[],
  taken: TakenAddresses,
): readonly Address[] | undefined {
  const addresses = sets.map((set, index) => {
    if (index === 0) return first;
    const partner = partners.find((address) => rangeOf(set, address));
    if (partner) return partner;
    const paired = sameOffset(sets[0]!, first, set);
    return paired && !taken.has(paired.text) ? paired : nextFree(set, last[index], taken);
  });
  return addresses.includes(undefined) ? undefined : (addresses as Address[]);
}
