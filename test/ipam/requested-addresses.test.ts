import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AddressTakenError,
  holdsReservation,
  parseRangeSets,
  readReservation,
  releaseAddresses,
  reserveAddresses,
} from '../../src/ipam/index.ts';
import { type Address, parseAddress } from '../../src/net/index.ts';
import { memoryStore } from '../cni-plugin/support.ts';
import { reservationRequest as request } from './reservation-request.ts';

const sets = parseRangeSets([[{ subnet: '10.0.0.0/28' }], [{ subnet: 'fd00::/64' }]]);

describe('an address that is asked for', () => {
  it('is given if and only if nobody has it; nobody loses one, and a refusal leaves nothing', () => {
    const step = fc.record({
      owner: fc.integer({ min: 0, max: 5 }),
      last: fc.option(fc.integer({ min: 2, max: 14 })),
      release: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const store = memoryStore();
        const held = new Map<string, readonly Address[]>();
        for (const { owner, last, release } of steps) {
          const containerId = `c${owner}`;
          if (release) {
            releaseAddresses(store, request(containerId));
            held.delete(containerId);
            continue;
          }
          const wanted = last === null ? undefined : parseAddress(`10.0.0.${last}`);
          const taken = [...held].some(([id, addresses]) => id !== containerId && addresses[0]!.text === wanted?.text);
          try {
            const record = reserveAddresses(store, sets, request(containerId), [wanted]);
            expect(taken).toBe(false);
            if (wanted) expect(record.addresses[0]!.text).toBe(wanted.text);
            else if (held.has(containerId)) expect(record.addresses).toEqual(held.get(containerId));
            held.set(containerId, record.addresses);
          } catch (error) {
            if (!(error instanceof AddressTakenError)) throw error;
            expect(taken).toBe(true);
            // What the owner had before is given up too: it asked for something else.
            expect(readReservation(store, request(containerId))).toBeUndefined();
            held.delete(containerId);
          }
          for (const id of held.keys()) expect(holdsReservation(store, readReservation(store, request(id))!)).toBe(true);
          expect(store.claims().sort()).toEqual([...held.values()].flatMap((addresses) => addresses.map(({ text }) => text)).sort());
        }
      }),
      { numRuns: 200 },
    );
  });
});
