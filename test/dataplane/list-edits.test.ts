import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { applyListEdits, listEdits } from '../../src/dataplane/list-edits.ts';
import { differingEntries, PartedMap } from '../../src/dataplane/parted-map.ts';

const list = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 40 });

describe('the edits between two lists', () => {
  test('make the second of the first', () => {
    fc.assert(
      fc.property(list, list, (before, after) => {
        const edits = listEdits(before, after, 1_000)!;
        expect(applyListEdits(before, edits)).toEqual(after);
        for (const { index, value } of edits.removed) expect(before[index]).toBe(value);
      }),
    );
  });

  test('are as few as the changes, when these are few', () => {
    const before = Array.from({ length: 1_000 }, (_, index) => index);
    const after = before.toSpliced(700, 1).toSpliced(300, 1, -1).toSpliced(5, 0, -2);
    expect(listEdits(before, after, 4)).toEqual({
      removed: [
        { index: 300, value: 300 },
        { index: 700, value: 700 },
      ],
      added: [
        { index: 5, value: -2 },
        { index: 301, value: -1 },
      ],
    });
    expect(listEdits(before, after, 3)).toBeUndefined();
  });
});

const parts = fc.array(fc.option(fc.uniqueArray(fc.integer({ min: 0, max: 30 }), { maxLength: 4 }), { nil: undefined }), { maxLength: 12 });
const valueOf = (key: number): string => `value ${key}`;

describe('a map of parts', () => {
  /** As differingEntries says it, and as a comparison of everything would. */
  const differences = (a: ReadonlyMap<number, string>, b: ReadonlyMap<number, string>): unknown => {
    const [gone, came] = differingEntries(a, b);
    const only = (own: ReadonlyMap<number, string>, other: ReadonlyMap<number, string>) =>
      [...own].filter(([key, value]) => other.get(key) !== value).sort(([one], [two]) => one - two);
    return [only(gone, came), only(came, gone)];
  };
  const joined = (maps: readonly (ReadonlyMap<number, string> | undefined)[]) => maps.flatMap((map) => [...(map ?? [])]);
  const mapsOf = (lists: readonly (readonly number[] | undefined)[]) =>
    lists.map((keys) => keys && new Map(keys.map((key) => [key, valueOf(key)])));

  test('differs from another in the same entries as if it had no parts, also where parts have a key in common', () => {
    fc.assert(
      fc.property(parts, parts, fc.array(fc.tuple(fc.nat(12), fc.nat(12)), { maxLength: 8 }), (one, two, shared) => {
        const [a, b] = [mapsOf(one), mapsOf(two)];
        // Some parts are the same objects in both.
        for (const [from, to] of shared) if (from < a.length && to < b.length) b[to] = a[from];
        const [before, after] = [new PartedMap(a, true), new PartedMap(b, true)];
        expect(differences(before, after)).toEqual(differences(new Map(before), new Map(after)));
        expect(before.size).toBe(new Map(before).size);
      }),
      { numRuns: 500 },
    );
  });

  /** A list of parts, and what to do to it: which of the maps so far, what to take out, what to put in. */
  const step = fc.record({
    from: fc.nat(9),
    part: fc.nat(12),
    remove: fc.boolean(),
    keys: fc.option(fc.uniqueArray(fc.nat(30), { maxLength: 4 }), { nil: undefined }),
  });

  test('differs from one that was edited from it as from one made anew, whichever of several was edited in between', () => {
    fc.assert(
      fc.property(parts, fc.array(step, { maxLength: 24 }), fc.boolean(), (start, steps, shared) => {
        // Without overlap, each key has a part of its own.
        const own = (lists: readonly (readonly number[] | undefined)[]) =>
          shared ? lists : lists.map((keys, index) => keys?.map((key) => key * 100 + index));
        const first = mapsOf(own(start));
        const made = [{ parted: new PartedMap([...first], shared), parts: first }];
        for (const [at, { from, part, remove, keys }] of steps.entries()) {
          const base = made[from % made.length]!;
          const index = part % (base.parts.length + 1);
          const removed = remove && index < base.parts.length ? [{ index, value: base.parts[index] }] : [];
          const [value] = mapsOf(own([...Array<undefined>(at + 13), keys])).slice(-1);
          const added = [{ index, value }];
          made.push({ parted: base.parted.edited({ removed, added }), parts: base.parts.toSpliced(index, removed.length, value) });
        }
        for (const one of made) {
          for (const other of made)
            expect(differences(one.parted, other.parted)).toEqual(differences(new Map(joined(one.parts)), new Map(joined(other.parts))));
          expect(new Map(one.parted)).toEqual(new Map(joined(one.parts)));
          expect(one.parted.parts).toEqual(one.parts);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('costs no copy of its parts to edit', () => {
    const before = new PartedMap(mapsOf(Array.from({ length: 5_000 }, (_, index) => [index])));
    const list = before.parts;
    const after = before.edited({ removed: [], added: [{ index: 7, value: new Map([[9_000, 'new']]) }] });
    expect(after.parts).toBe(list);
    expect(before.has(9_000)).toBe(false);
    expect([before.size, after.size]).toEqual([5_000, 5_001]);
  });

  test('tells only what changed, when little did', () => {
    const a = mapsOf(Array.from({ length: 5_000 }, (_, index) => [index]));
    const b = a.with(17, new Map([[17, 'other']]));
    const [gone, came] = differingEntries(new PartedMap(a), new PartedMap(b));
    expect([[...gone], [...came]]).toEqual([[[17, valueOf(17)]], [[17, 'other']]]);
  });
});
