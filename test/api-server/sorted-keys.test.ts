import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SortedKeys } from '../../src/api-server/sorted-keys.ts';

describe('sorted keys', () => {
  it('are what a sorted array would hold, whatever is added and deleted', () => {
    const key = fc.integer({ min: 0, max: 4_000 }).map((n) => `/${n % 7}/${n}`);
    fc.assert(
      fc.property(fc.array(key, { minLength: 1_500, maxLength: 4_000 }), fc.array(key, { maxLength: 500 }), (added, deleted) => {
        const keys = new SortedKeys();
        const model = new Set<string>();
        for (const one of added) {
          if (!model.has(one)) keys.add(one);
          model.add(one);
        }
        for (const one of deleted) if (model.delete(one)) keys.delete(one);
        const sorted = [...model].sort();
        for (const prefix of ['', '/', '/0/', '/3/', '/3/1', '/6/', '/9/', 'x']) {
          for (const after of ['', '/', prefix, `${prefix}1`, '/3/2', sorted[700] ?? '', '/zzz']) {
            const expected = sorted.filter((one) => one.startsWith(prefix) && one > after);
            expect([...keys.startingWith(prefix, after)]).toEqual(expected);
            expect(keys.count(prefix, after)).toBe(expected.length);
          }
        }
      }),
      { numRuns: 20 },
    );
  });

  it('can all go and come again', () => {
    const keys = new SortedKeys();
    const all = Array.from({ length: 2_000 }, (_, i) => String(i).padStart(5, '0'));
    for (let round = 0; round < 2; round++) {
      for (const key of all) keys.add(key);
      expect([...keys.startingWith('')]).toEqual(all);
      for (const key of all) keys.delete(key);
      expect([...keys.startingWith('')]).toEqual([]);
    }
  });
});
