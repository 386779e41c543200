import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AddressesExhaustedError,
  beginRelease,
  chooseAddresses,
  decodeReservation,
  encodeReservation,
  holdsReservation,
  listReservations,
  nextFree,
  parseRangeSets,
  type ReservationStore,
  releaseAddresses,
  reserveAddresses,
  walkFrom,
} from '../../src/ipam/index.ts';
import { parseAddress } from '../../src/net/index.ts';
import { memoryStore } from '../cni-plugin/support.ts';
import { reservationRequest as request } from './reservation-request.ts';

const small = parseRangeSets([[{ subnet: '10.0.0.0/29' }, { subnet: '10.0.1.0/30' }]])[0]!;
const usable = ['10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5', '10.0.0.6', '10.0.1.2'];
const dual = parseRangeSets([[{ subnet: '10.0.0.0/28' }], [{ subnet: 'fd00::/64' }]]);

describe('the walk over a set of ranges', () => {
  it('names every usable address once, without network, gateway and broadcast address, from the one after the last', () => {
    expect([...walkFrom(small, undefined)].map(({ text }) => text)).toEqual(usable);
    fc.assert(
      fc.property(fc.constantFrom(...usable, '10.0.0.1', '10.0.1.1'), (last) => {
        const walked = [...walkFrom(small, parseAddress(last))].map(({ text }) => text);
        expect(walked.toSorted()).toEqual(usable);
        if (usable.includes(last)) expect(walked.at(-1), 'the last one given comes last').toBe(last);
      }),
    );
  });

  it('finds a free address exactly when there is one', () => {
    fc.assert(
      fc.property(fc.subarray(usable), fc.option(fc.constantFrom(...usable)), (taken, last) => {
        const found = nextFree(small, last === null ? undefined : parseAddress(last), new Set(taken));
        if (taken.length === usable.length) expect(found).toBeUndefined();
        else expect(usable.filter((address) => !taken.includes(address))).toContain(found?.text);
      }),
    );
  });

  it('starts anew when the last address is of another range', () => {
    expect(nextFree(small, parseAddress('192.0.2.1'), new Set())?.text).toBe('10.0.0.2');
  });
});

describe('choosing for both families', () => {
  it('pairs the addresses by their offset, and goes its own way where it must', () => {
    const texts = (taken: string[]) => chooseAddresses(dual, [parseAddress('10.0.0.4')], new Set(taken)).map(({ text }) => text);
    expect(texts([])).toEqual(['10.0.0.5', 'fd00::5']);
    expect(texts(['10.0.0.5'])).toEqual(['10.0.0.6', 'fd00::6']);
    expect(texts(['fd00::5'])).toEqual(['10.0.0.5', 'fd00::2']);
  });

  it('fails as a whole, naming the range', () => {
    const sets = parseRangeSets([[{ subnet: '10.0.0.0/28' }], [{ subnet: 'fd00::/64', rangeStart: 'fd00::5', rangeEnd: 'fd00::5' }]]);
    expect(() => chooseAddresses(sets, [], new Set(['fd00::5']))).toThrow(new AddressesExhaustedError(sets[1]!));
    expect(() => chooseAddresses(sets, [], new Set(['fd00::5']))).toThrow('no free address left in fd00::5-fd00::5 of fd00::/64');
  });
});

/** A store whose writer is killed after some writes. */
function stopping(store: ReservationStore, stopAfter: number) {
  let left = stopAfter;
  const counted =
    <Args extends unknown[], Result>(write: (...args: Args) => Result) =>
    (...args: Args): Result => {
      if (left-- === 0) throw new Error('killed');
      return write(...args);
    };
  const { writeOwner, claim, writeNote, release, removeOwner, journal, queues } = store;
  const dying: ReservationStore = {
    ...store,
    writeOwner: counted(writeOwner),
    claim: counted(claim),
    writeNote: counted(writeNote),
    release: counted(release),
    removeOwner: counted(removeOwner),
    journal: counted(journal),
    queues: { ...queues, advance: counted(queues.advance), push: counted(queues.push) },
  };
  const killed = (work: () => unknown): boolean => {
    try {
      work();
      return false;
    } catch (error) {
      if ((error as Error).message !== 'killed') throw error;
      return true;
    }
  };
  return { dying, killed };
}

describe('reservations', () => {
  type Step = { readonly add: string } | { readonly remove: string };
  const step: fc.Arbitrary<Step> = fc
    .integer({ min: 0, max: 19 })
    .chain((n) => fc.constantFrom<Step>({ add: `c${n}` }, { remove: `c${n}` }));

  it('never give an address twice, give both or none, and are exhausted only when all 13 are taken', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const store = memoryStore();
        const held = new Map<string, string[]>();
        for (const step of steps) {
          if ('remove' in step) {
            releaseAddresses(store, request(step.remove));
            held.delete(step.remove);
            continue;
          }
          try {
            const texts = reserveAddresses(store, dual, request(step.add)).addresses.map(({ text }) => text);
            if (held.has(step.add)) expect(texts, 'asked again').toEqual(held.get(step.add));
            held.set(step.add, texts);
          } catch (error) {
            expect(error).toBeInstanceOf(AddressesExhaustedError);
            expect(held.size).toBe(13);
          }
          expect(store.claims().toSorted()).toEqual([...held.values()].flat().toSorted());
          expect(store.owners().length).toBe(held.size);
        }
      }),
    );
  });

  it('let a released address rest until the others have been used', () => {
    const store = memoryStore();
    const order: string[] = [];
    for (let round = 0; round < 26; round++) {
      const record = reserveAddresses(store, dual, request(`c${round}`));
      order.push(record.addresses[0]!.text);
      releaseAddresses(store, record);
    }
    expect(new Set(order.slice(0, 13)).size).toBe(13);
    expect(order.slice(13)).toEqual(order.slice(0, 13));
  });

  it('can be taken back whole after a stop at any write', () => {
    for (let stopAfter = 0; stopAfter <= 5; stopAfter++) {
      const store = memoryStore();
      // Another pod holds the pair of the next address, so that this one's two do not belong together.
      reserveAddresses(store, dual, request('other'));
      releaseAddresses(store, request('other'));
      store.writeOwner('x@eth0', encodeReservation({ ...request('x'), addresses: [parseAddress('fd00::3')], state: 'reserved' }));
      store.claim('x@eth0', 'fd00::3');
      const { dying, killed } = stopping(store, stopAfter);
      // The record, two claims, the queue, the journal.
      expect(killed(() => reserveAddresses(dying, dual, request('victim')))).toBe(stopAfter < 5);
      releaseAddresses(store, request('victim'));
      expect([store.owners(), store.claims()], `stopped after ${stopAfter} writes`).toEqual([['x@eth0'], ['fd00::3']]);
    }
  });

  it('lose no address by a release that stops at any write', () => {
    for (let stopAfter = 0; stopAfter < 8; stopAfter++) {
      const store = memoryStore();
      for (let n = 0; n < 13; n++) reserveAddresses(store, dual, request(`c${n}`));
      const { dying, killed } = stopping(store, stopAfter);
      killed(() => releaseAddresses(dying, request('c5')));
      releaseAddresses(store, request('c5'));
      expect(reserveAddresses(store, dual, request('next')).addresses[0]!.text, `stopped after ${stopAfter} writes`).toBe('10.0.0.7');
    }
  });

  it('are not held any more from the moment a release is announced', () => {
    const store = memoryStore();
    const record = reserveAddresses(store, dual, request('a'));
    expect(holdsReservation(store, record)).toBe(true);
    expect(beginRelease(store, record)?.addresses).toEqual(record.addresses);
    expect(holdsReservation(store, record)).toBe(false);
    expect(store.claims().length, 'though the addresses stay taken').toBe(2);
  });

  it("are listed with what no reservation explains, and a release leaves another owner's claim", () => {
    const store = memoryStore();
    const record = reserveAddresses(store, dual, request('a'));
    store.writeOwner('b@eth0', 'rubbish');
    store.claim('b@eth0', '10.0.0.9');
    expect(listReservations(store)).toEqual({ reservations: [record], unexplained: ['b@eth0', '10.0.0.9'] });
    store.writeOwner('c@eth0', encodeReservation({ ...record, containerId: 'c' }));
    releaseAddresses(store, { containerId: 'c', ifname: 'eth0' });
    expect(holdsReservation(store, record)).toBe(true);
  });

  it('round-trip as text, and refuse text that is none', () => {
    const record = { ...request('a'), pod: 'default/web', addresses: [parseAddress('10.0.0.2')], state: 'reserved' as const };
    expect(decodeReservation(encodeReservation(record))).toEqual(record);
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => decodeReservation(text) === undefined));
  });
});
