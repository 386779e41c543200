import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createMemoryStore, openEmbeddedStore, type Store, type StoreEvent, StoreError } from '../../src/storage/index.ts';
import { cleanup, describeStore, put, remove } from './contract.ts';

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'podwire-store-'));
  cleanup(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function embedded(historyRevisions?: number, folder = temporaryFolder()): Promise<Store> {
  const store = await openEmbeddedStore({ folder, ...(historyRevisions ? { historyRevisions } : {}) });
  cleanup(() => store.close());
  return store;
}

describeStore('embedded', embedded);
describeStore('memory', async (historyRevisions) => createMemoryStore(historyRevisions ? { historyRevisions } : {}));

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
