import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { CompactedError, createMemoryStore, openEmbeddedStore, type Store, type StoreEvent, StoreError } from '../../src/storage/index.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'podwire-store-'));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function embedded(historyRevisions?: number, folder = temporaryFolder()): Promise<Store> {
  const store = await openEmbeddedStore({ folder, ...(historyRevisions ? { historyRevisions } : {}) });
  cleanups.push(() => store.close());
  return store;
}

const put = (store: Store, key: string, value: string, modRevision?: number) =>
  store.commit({ conditions: modRevision === undefined ? [] : [{ key, modRevision }], writes: [{ put: { key, value } }] });
const remove = (store: Store, key: string) => store.commit({ conditions: [], writes: [{ delete: { key } }] });

const backends: [string, (historyRevisions?: number) => Promise<Store>][] = [
  ['embedded', embedded],
  ['memory', async (historyRevisions) => createMemoryStore(historyRevisions ? { historyRevisions } : {})],
];

describe.each(backends)('the %s store', (_name, open) => {
  it('starts empty at revision 0', async () => {
    const store = await open();
    expect(store.revision()).toBe(0);
    expect(await store.get('/a')).toBeUndefined();
    expect(await store.list('/')).toEqual({ revision: 0, values: [] });
  });

  it('gives each change one revision and keeps the revision of creation', async () => {
    const store = await open();
    expect(await put(store, '/a', '1')).toEqual({ ok: true, revision: 1 });
    expect(await put(store, '/b', '2')).toEqual({ ok: true, revision: 2 });
    expect(await put(store, '/a', '3')).toEqual({ ok: true, revision: 3 });
    expect(await store.get('/a')).toEqual({ key: '/a', value: '3', createRevision: 1, modRevision: 3 });
    expect(store.revision()).toBe(3);
  });

  it('lists by prefix in key order', async () => {
    const store = await open();
    for (const key of ['/r/b', '/r/a', '/r/a-b/x', '/r/a/x', '/s/a']) await put(store, key, key);
    expect((await store.list('/r/')).values.map(({ key }) => key)).toEqual(['/r/a', '/r/a-b/x', '/r/a/x', '/r/b']);
  });

  it('writes nothing when a condition does not hold, and tells what stands there', async () => {
    const store = await open();
    await put(store, '/a', '1', 0);
    expect(await put(store, '/a', '2', 0)).toEqual({ ok: false, current: { key: '/a', value: '1', createRevision: 1, modRevision: 1 } });
    expect(await store.commit({ conditions: [{ key: '/x', modRevision: 7 }], writes: [{ put: { key: '/y', value: '' } }] })).toEqual({
      ok: false,
      current: undefined,
    });
    expect(store.revision()).toBe(1);
  });

  it('applies the writes of a transaction in order, all or none', async () => {
    const store = await open();
    await put(store, '/a', '1');
    const outcome = await store.commit({
      conditions: [{ key: '/a', modRevision: 1 }],
      writes: [{ delete: { key: '/a' } }, { put: { key: '/a', value: '2' } }, { put: { key: '/b', value: '3' } }],
    });
    expect(outcome).toEqual({ ok: true, revision: 4 });
    expect(await store.get('/a')).toEqual({ key: '/a', value: '2', createRevision: 3, modRevision: 3 });
  });

  it('lets exactly one of many writers on the same revision through', async () => {
    const store = await open();
    await put(store, '/a', '0');
    const outcomes = await Promise.all(Array.from({ length: 50 }, (_, i) => put(store, '/a', String(i), 1)));
    expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1);
    expect(store.revision()).toBe(2);
  });

  it('takes no revision for the deletion of what does not exist', async () => {
    const store = await open();
    expect(await remove(store, '/a')).toEqual({ ok: true, revision: 0 });
  });

  it('tells watchers of every change before the writer is answered', async () => {
    const store = await open();
    const events: StoreEvent[] = [];
    await store.watch('/r/', 0, (event) => events.push(event));
    await put(store, '/r/a', '1');
    expect(events).toEqual([{ type: 'put', key: '/r/a', value: '1', revision: 1 }]);
    await put(store, '/other', '1');
    await put(store, '/r/a', '2');
    await remove(store, '/r/a');
    const previous = { key: '/r/a', value: '1', createRevision: 1, modRevision: 1 };
    expect(events.slice(1)).toEqual([
      { type: 'put', key: '/r/a', value: '2', previous, revision: 3 },
      { type: 'delete', key: '/r/a', value: '2', previous: { ...previous, value: '2', modRevision: 3 }, revision: 4 },
    ]);
  });

  it('resumes a watch from a past revision without gap or repeat while writes go on', async () => {
    const store = await open();
    for (let i = 0; i < 20; i++) await put(store, `/k${i % 3}`, String(i));
    const writing = Promise.all(Array.from({ length: 50 }, (_, i) => put(store, `/k${i % 5}`, `later ${i}`)));
    const revisions: number[] = [];
    await store.watch('/', 7, ({ revision }) => revisions.push(revision));
    await writing;
    expect(revisions).toEqual(Array.from({ length: 63 }, (_, i) => i + 8));
  });

  it('is silent to a watcher that stopped', async () => {
    const store = await open();
    const seen: number[] = [];
    const watch = await store.watch('/', 0, ({ revision }) => seen.push(revision));
    await put(store, '/a', '1');
    watch.stop();
    await put(store, '/a', '2');
    expect(seen).toEqual([1]);
  });

  it('keeps a bounded history and refuses to watch from before it', async () => {
    const store = await open(20);
    for (let i = 0; i < 50; i++) await put(store, '/a', String(i));
    const compacted = store.compactedRevision();
    expect(compacted).toBeGreaterThanOrEqual(28);
    expect(compacted).toBeLessThanOrEqual(30);
    await expect(store.watch('/', compacted - 1, () => {})).rejects.toThrow(CompactedError);
    const seen: number[] = [];
    await store.watch('/', compacted, ({ revision }) => seen.push(revision));
    expect(seen).toEqual(Array.from({ length: 50 - compacted }, (_, i) => compacted + 1 + i));
  });

  it.each([
    ['no writes', { conditions: [], writes: [] }],
    ['an empty key', { conditions: [], writes: [{ put: { key: '', value: '' } }] }],
    ['a key too long', { conditions: [], writes: [{ put: { key: `/${'k'.repeat(2_000)}`, value: '' } }] }],
    ['a value too long', { conditions: [], writes: [{ put: { key: '/a', value: 'v'.repeat(2_000_000) } }] }],
  ])('refuses %s', async (_what, transaction) => {
    const store = await open();
    await expect(store.commit(transaction)).rejects.toMatchObject({ name: 'StoreError', reason: 'invalid' });
  });

  it('keeps text of any language and any size it takes', async () => {
    const store = await open();
    for (const value of ['', 'gruß 漢字 \u{1f600}', 'x'.repeat(1_000_000)]) {
      await put(store, '/a', value);
      expect((await store.get('/a'))?.value).toBe(value);
    }
  });

  it('refuses everything once closed', async () => {
    const store = await open();
    await store.close();
    await expect(store.get('/a')).rejects.toMatchObject({ reason: 'closed' });
    await expect(put(store, '/a', '1')).rejects.toMatchObject({ reason: 'closed' });
  });

  it('agrees with a plain map whatever is written', { timeout: 60_000 }, async () => {
    const key = fc.constantFrom('/a', '/a/b', '/a-b', '/c');
    const step = fc.record({ key, value: fc.string({ maxLength: 5 }), kind: fc.constantFrom('put', 'delete'), stale: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
        const store = await open();
        const model = new Map<string, { value: string; modRevision: number }>();
        let revision = 0;
        for (const { key, value, kind, stale } of steps) {
          const standing = model.get(key)?.modRevision ?? 0;
          const outcome = await store.commit({
            conditions: [{ key, modRevision: stale ? standing + 1 : standing }],
            writes: [kind === 'put' ? { put: { key, value } } : { delete: { key } }],
          });
          expect(outcome.ok).toBe(!stale);
          if (stale) continue;
          if (kind === 'put') model.set(key, { value, modRevision: ++revision });
          else if (model.delete(key)) revision++;
        }
        const listed = await store.list('/');
        expect(listed.revision).toBe(revision);
        expect(listed.values.map(({ key, value, modRevision }) => [key, { value, modRevision }])).toEqual(
          [...model].sort(([a], [b]) => (a < b ? -1 : 1)),
        );
        expect(store.stats().keys).toBe(model.size);
        await store.close();
      }),
      { numRuns: 25 },
    );
  });
});

describe('the embedded store on disk', () => {
  it('has everything after it was closed and opened again, and resumes watches', async () => {
    const folder = temporaryFolder();
    const first = await embedded(undefined, folder);
    await put(first, '/a', '1');
    await put(first, '/a', '2');
    await remove(first, '/a');
    await put(first, '/b', '3');
    await first.close();
    const second = await embedded(undefined, folder);
    expect(second.revision()).toBe(4);
    expect((await second.list('/')).values).toEqual([{ key: '/b', value: '3', createRevision: 4, modRevision: 4 }]);
    const seen: StoreEvent[] = [];
    await second.watch('/', 1, (event) => seen.push(event));
    await put(second, '/b', '4');
    expect(seen.map(({ type, key, value, revision, previous }) => [type, key, value, revision, previous?.value])).toEqual([
      ['put', '/a', '2', 2, '1'],
      ['delete', '/a', '2', 3, '2'],
      ['put', '/b', '3', 4, undefined],
      ['put', '/b', '4', 5, '3'],
    ]);
  });

  it('finishes the writes under way when it is closed', async () => {
    const folder = temporaryFolder();
    const store = await embedded(undefined, folder);
    const writes = Array.from({ length: 600 }, (_, i) => put(store, `/k${i}`, 'v'));
    const closing = store.close();
    expect((await Promise.all(writes)).every(({ ok }) => ok)).toBe(true);
    await closing;
    expect((await embedded(undefined, folder)).stats().keys).toBe(600);
  });

  it('makes its folder readable by its owner alone', async () => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o755);
    await embedded(undefined, folder);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
  });

  it('cannot be opened twice', async () => {
    const folder = temporaryFolder();
    await embedded(undefined, folder);
    await expect(openEmbeddedStore({ folder })).rejects.toMatchObject({
      reason: 'locked',
      message: expect.stringContaining(`in use by process ${process.pid}`),
    });
  });

  it('says why it cannot be opened', async () => {
    const file = join(temporaryFolder(), 'file');
    writeFileSync(file, '');
    const failure = await openEmbeddedStore({ folder: join(file, 'store') }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(StoreError);
    expect(failure).toMatchObject({ reason: 'unwritable', message: expect.stringContaining(file) });
  });
});
