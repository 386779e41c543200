import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { CompactedError, type Store, type StoreEvent } from '../../src/storage/index.ts';

const cleanups: (() => unknown)[] = [];
/** Runs after the test, last in first out. */
export const cleanup = (step: () => unknown): void => void cleanups.push(step);
afterEach(async () => {
  for (const step of cleanups.splice(0).reverse()) await step();
});

const root = '/registry/things';
const at = (name: string): string => `${root}/${name}`;

export const put = (store: Store, key: string, value: string, modRevision?: number) =>
  store.commit({ conditions: modRevision === undefined ? [] : [{ key, modRevision }], writes: [{ put: { key, value } }] });
export const remove = (store: Store, key: string) => store.commit({ conditions: [], writes: [{ delete: { key } }] });

/** Puts and returns the revision. */
export async function putAt(store: Store, key: string, value: string): Promise<number> {
  const outcome = await put(store, key, value);
  if (!outcome.ok) throw new Error('an unconditional put failed');
  return outcome.revision;
}

/**
 * What every backend does. `open` gives an empty store; its first revision may be any, and a shared one may take revisions for itself.
 */
export function describeStore(name: string, open: (historyRevisions?: number) => Promise<Store>): void {
  describe(`the ${name} store`, () => {
    it('starts empty, and tells nothing of what was before', async () => {
      const store = await open();
      expect(await store.get(at('a'))).toBeUndefined();
      expect((await store.list(`${root}/`)).values).toEqual([]);
      expect(store.problem()).toBeUndefined();
    });

    it('gives each transaction a greater revision and keeps the revision of creation', async () => {
      const store = await open();
      const first = await putAt(store, at('a'), '1');
      const second = await putAt(store, at('b'), '2');
      const third = await putAt(store, at('a'), '3');
      expect([second > first, third > second]).toEqual([true, true]);
      expect(await store.get(at('a'))).toEqual({ key: at('a'), value: '3', createRevision: first, modRevision: third });
      expect(store.revision()).toBeGreaterThanOrEqual(third);
      expect(await store.consistentRevision()).toBeGreaterThanOrEqual(third);
    });

    it('lists by prefix in key order', async () => {
      const store = await open();
      for (const key of ['r/b', 'r/a', 'r/a-b/x', 'r/a/x', 's/a', 'r0/a']) await put(store, at(key), key);
      const listed = await store.list(at('r/'));
      expect(listed.values.map(({ value }) => value)).toEqual(['r/a', 'r/a-b/x', 'r/a/x', 'r/b']);
      expect(store.revision()).toBeGreaterThanOrEqual(listed.revision);
    });

    it('writes nothing when a condition does not hold, and tells what stands at the first that failed', async () => {
      const store = await open();
      const first = await putAt(store, at('a'), '1');
      expect(await put(store, at('a'), '2', 0)).toEqual({
        ok: false,
        current: { key: at('a'), value: '1', createRevision: first, modRevision: first },
      });
      const conditions = [
        { key: at('a'), modRevision: first },
        { key: at('x'), modRevision: 7 },
        { key: at('a'), modRevision: 1 },
      ];
      expect(await store.commit({ conditions, writes: [{ put: { key: at('y'), value: '' } }] })).toEqual({ ok: false, current: undefined });
      expect((await store.list(`${root}/`)).values.map(({ key, value }) => [key, value])).toEqual([[at('a'), '1']]);
    });

    it('makes the writes of a transaction under one revision, all or none, and delivers them in one turn', async () => {
      const store = await open();
      const first = await putAt(store, at('a'), '1');
      const turns: StoreEvent[][] = [];
      await store.watch(`${root}/`, first, (event) => {
        if (turns.length === 0) setImmediate(() => turns.push([]));
        (turns[0] ?? (turns[0] = [])).push(event);
      });
      const outcome = await store.commit({
        conditions: [{ key: at('a'), modRevision: first }],
        writes: [
          { delete: { key: at('a') } },
          { put: { key: at('b'), value: '2' } },
          { put: { key: at('c'), value: '3' } },
          { delete: { key: at('d') } },
        ],
      });
      const revision = outcome.ok ? outcome.revision : 0;
      expect(turns[0]!.map(({ type, key, value, revision: of }) => [type, key, value, of])).toEqual([
        ['delete', at('a'), '1', revision],
        ['put', at('b'), '2', revision],
        ['put', at('c'), '3', revision],
      ]);
      expect(await store.get(at('c'))).toEqual({ key: at('c'), value: '3', createRevision: revision, modRevision: revision });
    });

    it('lets exactly one of many writers on the same revision through', async () => {
      const store = await open();
      const first = await putAt(store, at('a'), '0');
      const outcomes = await Promise.all(Array.from({ length: 50 }, (_, i) => put(store, at('a'), String(i), first)));
      const winner = outcomes.findIndex(({ ok }) => ok);
      expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1);
      expect((await store.get(at('a')))?.value).toBe(String(winner));
      for (const outcome of outcomes) if (!outcome.ok) expect(outcome.current?.value).toBe(String(winner));
    });

    it('changes nothing by the deletion of what does not exist', async () => {
      const store = await open();
      const first = await putAt(store, at('b'), '1');
      const seen: StoreEvent[] = [];
      await store.watch(`${root}/`, first, (event) => seen.push(event));
      expect((await remove(store, at('a'))).ok).toBe(true);
      expect(seen).toEqual([]);
    });

    it('tells watchers of every change before the writer is answered', async () => {
      const store = await open();
      const events: StoreEvent[] = [];
      await store.watch(at('r/'), store.revision(), (event) => events.push(event));
      const first = await putAt(store, at('r/a'), '1');
      expect(events).toEqual([{ type: 'put', key: at('r/a'), value: '1', revision: first }]);
      await put(store, at('other'), '1');
      const second = await putAt(store, at('r/a'), '2');
      const gone = await remove(store, at('r/a'));
      const previous = { key: at('r/a'), value: '1', createRevision: first, modRevision: first };
      expect(events.slice(1)).toEqual([
        { type: 'put', key: at('r/a'), value: '2', previous, revision: second },
        {
          type: 'delete',
          key: at('r/a'),
          value: '2',
          previous: { ...previous, value: '2', modRevision: second },
          revision: gone.ok && gone.revision,
        },
      ]);
    });

    it('resumes a watch from a past revision without gap or repeat while writes go on', async () => {
      const store = await open();
      const written: number[] = [];
      for (let i = 0; i < 20; i++) written.push(await putAt(store, at(`k${i % 3}`), String(i)));
      const writing = Promise.all(Array.from({ length: 50 }, (_, i) => putAt(store, at(`k${i % 5}`), `later ${i}`)));
      const revisions: number[] = [];
      await store.watch(`${root}/`, written[6]!, ({ revision }) => revisions.push(revision));
      written.push(...(await writing).sort((a, b) => a - b));
      expect(revisions).toEqual(written.slice(7));
    });

    it('is silent to a watcher that stopped', async () => {
      const store = await open();
      const seen: string[] = [];
      const watch = await store.watch(`${root}/`, store.revision(), ({ value }) => seen.push(value));
      await put(store, at('a'), '1');
      watch.stop();
      await put(store, at('a'), '2');
      expect(seen).toEqual(['1']);
    });

    it('keeps a bounded history and refuses to watch from before it', async () => {
      const store = await open(20);
      const written: number[] = [];
      for (let i = 0; i < 50; i++) written.push(await putAt(store, at('a'), String(i)));
      const compacted = store.compactedRevision();
      expect(compacted).toBeGreaterThanOrEqual(written[25]!);
      expect(compacted).toBeLessThanOrEqual(written[29]!);
      await expect(store.watch(`${root}/`, compacted - 1, () => {})).rejects.toThrow(CompactedError);
      const seen: number[] = [];
      await store.watch(`${root}/`, compacted, ({ revision }) => seen.push(revision));
      expect(seen).toEqual(written.filter((revision) => revision > compacted));
    });

    it('keeps the history of other keys through a storm of lease renewals', async () => {
      const store = await open(20);
      const first = await putAt(store, at('a'), '1');
      for (let round = 0; round < 12; round++) {
        await Promise.all(Array.from({ length: 100 }, (_, i) => put(store, `/registry/leases/kube-node-lease/n${i}`, String(round))));
      }
      await put(store, at('a'), '2');
      const seen: string[] = [];
      await store.watch(`${root}/`, first, ({ value }) => seen.push(value));
      expect(seen).toEqual(['2']);
      expect(store.compactedRevision('/registry/leases/')).toBeGreaterThan(first);
      expect(store.compactedRevision()).toBeLessThan(first);
    });

    it.each([
      ['no writes', { conditions: [], writes: [] }],
      ['an empty key', { conditions: [], writes: [{ put: { key: '', value: '' } }] }],
      ['a key too long', { conditions: [], writes: [{ put: { key: at('k'.repeat(2_000)), value: '' } }] }],
      ['a value too long', { conditions: [], writes: [{ put: { key: at('a'), value: 'v'.repeat(2_000_000) } }] }],
      ['a key twice', { conditions: [], writes: [{ put: { key: at('a'), value: '' } }, { delete: { key: at('a') } }] }],
      ['too many writes', { conditions: [], writes: Array.from({ length: 129 }, (_, i) => ({ put: { key: at(`${i}`), value: '' } })) }],
    ])('refuses %s', async (_what, transaction) => {
      const store = await open();
      await expect(store.commit(transaction)).rejects.toMatchObject({ name: 'StoreError', reason: 'invalid' });
    });

    it('keeps text of any language and any size it takes', async () => {
      const store = await open();
      for (const value of ['', 'gruß 漢字 \u{1f600}', 'x'.repeat(1_000_000)]) {
        await put(store, at('a'), value);
        expect((await store.get(at('a')))?.value).toBe(value);
      }
    });

    it('lists more than fits into one message', async () => {
      const store = await open();
      await Promise.all(Array.from({ length: 60 }, (_, i) => put(store, at(`k${i}`), String(i % 10).repeat(200_000))));
      const { values } = await store.list(`${root}/`);
      expect(values).toHaveLength(60);
      expect(values.every(({ key, value }) => value === String(Number(key.slice(at('k').length)) % 10).repeat(200_000))).toBe(true);
    });

    it('refuses everything once closed', async () => {
      const store = await open();
      await store.close();
      await expect(store.get(at('a'))).rejects.toMatchObject({ reason: 'closed' });
      await expect(store.consistentRevision()).rejects.toMatchObject({ reason: 'closed' });
      await expect(put(store, at('a'), '1')).rejects.toMatchObject({ reason: 'closed' });
    });

    it('agrees with a plain map whatever is written', { timeout: 60_000 }, async () => {
      const key = fc.constantFrom(at('a'), at('a/b'), at('a-b'), at('c'));
      const step = fc.record({ key, value: fc.string({ maxLength: 5 }), kind: fc.constantFrom('put', 'delete'), stale: fc.boolean() });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
          const store = await open();
          const model = new Map<string, { value: string; modRevision: number }>();
          for (const { key, value, kind, stale } of steps) {
            const standing = model.get(key)?.modRevision ?? 0;
            const outcome = await store.commit({
              conditions: [{ key, modRevision: stale ? standing + 1 : standing }],
              writes: [kind === 'put' ? { put: { key, value } } : { delete: { key } }],
            });
            expect(outcome.ok).toBe(!stale);
            if (!outcome.ok) continue;
            if (kind === 'put') model.set(key, { value, modRevision: outcome.revision });
            else model.delete(key);
          }
          const listed = await store.list(`${root}/`);
          expect(listed.values.map(({ key, value, modRevision }) => [key, { value, modRevision }])).toEqual(
            [...model].sort(([a], [b]) => (a < b ? -1 : 1)),
          );
          await store.close();
        }),
        { numRuns: 20 },
      );
    });
  });
}
