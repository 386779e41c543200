import type * as FileSystem from 'node:fs';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  AddressesExhaustedError,
  defaultQuarantine,
  listReservations,
  parseRangeSets,
  type ReservationStore,
  releaseAddresses,
  reserveAddresses,
} from '../../src/ipam/index.ts';
import { openClaimFiles } from '../../src/storage/claim-files.ts';
import { memoryStore } from '../cni-plugin/support.ts';
import { reservationRequest as request } from './reservation-request.ts';

/** Every call to the file system, by the storage under test. */
const calls = vi.hoisted(() => ({ count: 0 }));
vi.mock('node:fs', async (original) => {
  const real = await original<typeof FileSystem>();
  const counted = Object.entries(real).map(([name, value]) => [
    name,
    typeof value === 'function' && name.endsWith('Sync')
      ? (...args: unknown[]) => {
          calls.count++;
          return (value as (...given: unknown[]) => unknown)(...args);
        }
      : value,
  ]);
  return { ...Object.fromEntries(counted), default: real };
});

const small = parseRangeSets([[{ subnet: '10.0.0.0/28' }], [{ subnet: 'fd00::/64' }]]);

/** A store at a time that the test sets. */
function timed(store: ReservationStore = memoryStore()) {
  const clock = { now: Date.parse('2026-01-01T00:00:00Z') };
  return { clock, store: { ...store, now: () => clock.now } };
}
const textsOf = ({ addresses }: { addresses: readonly { text: string }[] }) => addresses.map(({ text }) => text);

describe('a released address', () => {
  it('rests while there are others, and is given again before a new one when it has rested', () => {
    const { store, clock } = timed();
    reserveAddresses(store, small, request('a'));
    const b = reserveAddresses(store, small, request('b'));
    releaseAddresses(store, request('a'));
    clock.now += defaultQuarantine - 1;
    expect(textsOf(reserveAddresses(store, small, request('c')))).toEqual(['10.0.0.4', 'fd00::4']);
    clock.now += 1;
    expect(textsOf(reserveAddresses(store, small, request('d')))).toEqual(['10.0.0.2', 'fd00::2']);
    releaseAddresses(store, b);
    expect(textsOf(reserveAddresses(store, small, request('e'), [], 0)), 'without quarantine').toEqual(['10.0.0.3', 'fd00::3']);
  });

  it('that was released first is taken when all that are left still rest', () => {
    const { store, clock } = timed();
    for (let n = 0; n < 13; n++) reserveAddresses(store, small, request(`c${n}`));
    for (const n of [7, 3, 11]) {
      clock.now += 1_000;
      releaseAddresses(store, request(`c${n}`));
    }
    const given = ['x', 'y', 'z'].map((id) => textsOf(reserveAddresses(store, small, request(id)))[0]);
    expect(given).toEqual(['10.0.0.9', '10.0.0.5', '10.0.0.13']);
    expect(() => reserveAddresses(store, small, request('w'))).toThrow(AddressesExhaustedError);
    expect(store.owners()).not.toContain('w@eth0');
  });

  it('that somebody asked for while it rested rests anew when it is released again', () => {
    const { store, clock } = timed();
    const first = reserveAddresses(store, small, request('a'));
    releaseAddresses(store, first);
    reserveAddresses(store, small, request('b'), [first.addresses[0]]);
    clock.now += defaultQuarantine - 1;
    releaseAddresses(store, request('b'));
    clock.now += 1;
    expect(textsOf(reserveAddresses(store, small, request('c')))[0]).toBe('10.0.0.3');
    clock.now += defaultQuarantine - 1;
    expect(textsOf(reserveAddresses(store, small, request('d')))[0]).toBe('10.0.0.2');
  });

  it('is never given within its quarantine while another is free, whatever came before', () => {
    const step = fc.record({
      do: fc.constantFrom('add', 'remove', 'ask'),
      who: fc.integer({ min: 0, max: 15 }),
      wait: fc.integer({ min: 0, max: 60_000 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const { store, clock } = timed();
        const held = new Map<string, string>();
        const releasedAt = new Map<string, number>();
        const all = Array.from({ length: 13 }, (_, n) => `10.0.0.${n + 2}`);
        for (const { do: what, who, wait } of steps) {
          clock.now += wait;
          const id = `c${who}`;
          if (what === 'remove') {
            releaseAddresses(store, request(id));
            const address = held.get(id);
            if (address !== undefined) releasedAt.set(address, clock.now);
            held.delete(id);
          } else if (!held.has(id)) {
            const free = all.filter((address) => ![...held.values()].includes(address));
            const rested = free.filter((address) => clock.now - (releasedAt.get(address) ?? 0) >= defaultQuarantine);
            const asked = what === 'ask' && free[0] ? small[0]![0]!.start : undefined;
            if (asked && !free.includes('10.0.0.2')) continue;
            if (free.length === 0) {
              expect(() => reserveAddresses(store, small, request(id))).toThrow(AddressesExhaustedError);
              continue;
            }
            const wish = asked && { ...asked, value: asked.value + 1n, text: '10.0.0.2' };
            const [given] = textsOf(reserveAddresses(store, small, request(id), [wish]));
            expect([...held.values()]).not.toContain(given);
            if (!wish && rested.length > 0) expect(rested, 'a rested one').toContain(given);
            held.set(id, given!);
          }
        }
        expect(
          listReservations(store)
            .reservations.map((record) => textsOf(record)[0])
            .toSorted(),
        ).toEqual([...held.values()].toSorted());
      }),
      { numRuns: 150 },
    );
  });
});

describe('addresses that nobody has and no queue knows of', () => {
  it('are found before a range counts as used up', () => {
    const { store } = timed();
    for (let n = 0; n < 13; n++) reserveAddresses(store, small, request(`c${n}`));
    // As a process leaves it that is killed between giving an address back and putting it into the queue.
    for (const n of [2, 6]) {
      for (const address of [`10.0.0.${n + 2}`, `fd00::${n + 2}`]) store.release(address);
      store.removeOwner(`c${n}@eth0`);
    }
    expect(textsOf(reserveAddresses(store, small, request('x')))).toEqual(['10.0.0.4', 'fd00::4']);
    expect(
      store.queues.read('10.0.0.1-10.0.0.14')?.lines.map(({ text }) => text.split(' ')[0]),
      'the other is in the queue now',
    ).toEqual(['10.0.0.8']);
    expect(textsOf(reserveAddresses(store, small, request('y')))).toEqual(['10.0.0.8', 'fd00::8']);
    expect(() => reserveAddresses(store, small, request('z'))).toThrow(AddressesExhaustedError);
  });
});

describe('the price of a reservation', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'podwire-pool-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('is the same number of system calls with 4,000 pods as with 4, in a range that is nearly full, too', () => {
    const large = parseRangeSets([[{ subnet: '10.0.0.0/20' }], [{ subnet: 'fd00::/64' }]]);
    const store = openClaimFiles(directory, 'boot');
    const pay = (work: () => void): number => {
      calls.count = 0;
      work();
      return calls.count;
    };
    const price = (id: string): [add: number, remove: number] => [
      pay(() => reserveAddresses(store, large, request(id))),
      pay(() => releaseAddresses(store, request(id))),
    ];
    for (let n = 0; n < 4; n++) reserveAddresses(store, large, request(`c${n}`));
    const few = price('few');
    for (let n = 4; n < 4_000; n++) reserveAddresses(store, large, request(`c${n}`));
    expect(price('many')).toEqual(few);
    // To the last address, and some are given back here and there: from now on only those are left.
    for (let n = 4_000; n < 4_092; n++) reserveAddresses(store, large, request(`c${n}`));
    for (let n = 100; n < 4_000; n += 100) releaseAddresses(store, request(`c${n}`));
    const [add, remove] = price('full');
    expect(add).toBeLessThanOrEqual(few[0] + 6);
    expect(remove).toBe(few[1]);
    expect([few[0] > 10, few[0] <= 22], `an ADD: ${few[0]}`).toEqual([true, true]);
    expect(few[1], 'a DEL').toBeLessThanOrEqual(24);
  }, 60_000);

  it('stays so when the queue has moved to a new file again and again', () => {
    const store = openClaimFiles(directory, 'boot');
    let longest = 0;
    for (let n = 0; n < 3_500; n++) {
      calls.count = 0;
      reserveAddresses(store, small, request('one'));
      releaseAddresses(store, request('one'));
      longest = Math.max(longest, calls.count);
    }
    expect(longest).toBeLessThan(70);
    expect(listReservations(store)).toEqual({ reservations: [], unexplained: [] });
    for (let n = 0; n < 13; n++) reserveAddresses(store, small, request(`c${n}`));
  }, 60_000);
});
