import fc from 'fast-check';
import { expect, it } from 'vitest';
import { CachedObject } from '../../src/api-server/cached-object.ts';
import { ResourceCache } from '../../src/api-server/resource-cache.ts';
import { findKind } from '../../src/objects/index.ts';

const kind = findKind('', 'v1', 'configmaps')!;

it('every page of a past revision is what stood then, in key order, and counted', () => {
  const change = fc.record({ namespace: fc.integer({ min: 0, max: 2 }), name: fc.integer({ min: 0, max: 12 }), gone: fc.boolean() });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 120 }), fc.nat(), fc.nat(), (changes, pick, from) => {
      const cache = new ResourceCache(kind);
      const states: Map<string, number>[] = [new Map()];
      for (const [index, { namespace, name, gone }] of changes.entries()) {
        const key = `/registry/configmaps/n${namespace}/${name}`;
        const revision = index + 1;
        const previous = cache.get(key);
        const state = new Map(states.at(-1));
        if (gone && previous) {
          cache.apply({ type: 'DELETED', revision, object: previous.at(revision), previous });
          state.delete(key);
        } else if (!gone) {
          const object = new CachedObject(kind, key, `{"metadata":{"name":"${name}"}}`, revision);
          cache.apply({ type: previous ? 'MODIFIED' : 'ADDED', revision, object, previous });
          state.set(key, revision);
        }
        states.push(state);
      }
      const revision = pick % states.length;
      const keys = [...states[revision]!.keys()].sort();
      const after = ['', keys[from % (keys.length + 1)] ?? '', '/registry/configmaps/n1/5'][from % 3]!;
      for (const prefix of ['/registry/configmaps/', '/registry/configmaps/n1/']) {
        const expected = keys.filter((key) => key.startsWith(prefix) && key > after);
        const found = [...cache.objectsAt(prefix, revision, after)];
        expect(found.map(({ key }) => key)).toEqual(expected);
        expect(found.map((object) => object.revision)).toEqual(expected.map((key) => states[revision]!.get(key)));
        expect(cache.countAt(prefix, revision, after)).toBe(expected.length);
      }
    }),
    { numRuns: 300 },
  );
});
