import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock } from '../../src/runtime/clock.ts';
import { checkArchive, readArchive, writeArchive } from '../../src/storage/archive.ts';
import { checkEmbedded, repairEmbedded } from '../../src/storage/embedded-check.ts';
import { compactEmbedded, createEmbeddedStore } from '../../src/storage/embedded-maintenance.ts';
import { openTables } from '../../src/storage/embedded-tables.ts';
import { createEtcdMaintenance } from '../../src/storage/etcd/maintenance.ts';
import { openEmbeddedStore, type Store, type StoredValue } from '../../src/storage/index.ts';
import { openEmbeddedSnapshot, type Snapshot } from '../../src/storage/snapshot.ts';
import { cleanup, put, putAt, remove } from './contract.ts';
import { type EtcdServer, openTestEtcd, startEtcd } from './etcd-server.ts';

let etcd: EtcdServer;
beforeAll(async () => {
  etcd = await startEtcd();
}, 30_000);
afterAll(() => etcd?.remove());

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'podwire-maintenance-'));
  cleanup(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function open(folder: string): Promise<Store> {
  const store = await openEmbeddedStore({ folder });
  cleanup(() => store.close());
  return store;
}

function maintenance(prefix: string) {
  const made = createEtcdMaintenance(
    { servers: [etcd.url], prefix, ca: undefined, clientCertificate: undefined, compactionInterval: 0, requestTimeout: 10_000 },
    systemClock,
  );
  cleanup(() => made.close());
  return made;
}

const header = (revision: number) =>
  ({ format: 'podwire-backup', version: 1, revision, takenAt: '2026-01-01T00:00:00.000Z', source: 'embedded' }) as const;

async function backUp(snapshot: Snapshot, file: string): Promise<void> {
  await writeArchive(file, header(snapshot.revision), snapshot.pages, () => {});
  await snapshot.close();
}

async function* pagesOf(...values: StoredValue[]): AsyncGenerator<readonly StoredValue[]> {
  yield values;
}

const restore = (folder: string, file: string, revision: number, force = false): Promise<void> =>
  createEmbeddedStore(folder, readArchive(file), { revision, force, onProgress: () => {} });

it('a backup taken while writes go on is of one revision, and only its owner can read it', async () => {
  const folder = temporaryFolder();
  const store = await open(folder);
  await Promise.all(Array.from({ length: 1_500 }, (_, i) => put(store, `/registry/things/k${i}`, `first ${i}\u2028`)));
  const snapshot = await openEmbeddedSnapshot(folder);
  const writing = Promise.all(Array.from({ length: 1_500 }, (_, i) => put(store, `/registry/things/k${i}`, 'second')));
  const file = join(folder, 'backup');
  await backUp(snapshot, file);
  await writing;
  expect(await checkArchive(file)).toMatchObject({ revision: 1_500, keys: 1_500 });
  for await (const { key, value } of readArchive(file)) expect(value).toBe(`first ${key.slice('/registry/things/k'.length)}\u2028`);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([]);
});

it('restores what was backed up, at a revision that makes old watches list anew', async () => {
  const folder = temporaryFolder();
  const store = await open(folder);
  const kept = await putAt(store, '/registry/things/kept', 'a');
  await put(store, '/registry/things/gone', 'b');
  await remove(store, '/registry/things/gone');
  const file = join(folder, 'backup');
  await backUp(await openEmbeddedSnapshot(folder), file);
  const later = await putAt(store, '/registry/things/after', 'c');
  await store.close();
  await expect(restore(folder, file, 1_000)).rejects.toMatchObject({ reason: 'invalid', message: expect.stringContaining('--force') });
  await restore(folder, file, 1_000, true);
  const restored = await open(folder);
  expect(await restored.list('/registry/')).toEqual({
    revision: 1_000,
    values: [{ key: '/registry/things/kept', value: 'a', createRevision: kept, modRevision: kept }],
  });
  await expect(restored.watch('/registry/', later, () => {})).rejects.toMatchObject({ name: 'CompactedError' });
  expect(await putAt(restored, '/registry/things/new', 'd')).toBe(1_001);
  await expect(restore(folder, file, 1_000, true)).rejects.toMatchObject({ reason: 'locked' });
  expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([]);
});

it.each([
  ['cut off', (text: string) => text.slice(0, -20), 'is not a line of one|end is missing'],
  ['without its end', (text: string) => `${text.split('\n').slice(0, -2).join('\n')}\n`, 'end is missing'],
  ['with a changed value', (text: string) => text.replace('"value":"a"', '"value":"b"'), 'checksum'],
  ['with a line less', (text: string) => text.split('\n').toSpliced(1, 1).join('\n'), 'checksum'],
  ['with something behind it', (text: string) => `${text}{}\n`, 'follows its end'],
  ['of another version', (text: string) => text.replace('"version":1', '"version":2'), 'version 2'],
  ['that is something else', () => 'kind: List\n', 'not a line'],
  ['that is empty', () => '', 'end is missing'],
])('refuses a backup %s', async (_what, spoil, why) => {
  const file = join(temporaryFolder(), 'backup');
  const value = (name: string) => ({ key: `/registry/things/${name}`, value: name, createRevision: 1, modRevision: 1 });
  await writeArchive(file, header(5), pagesOf(value('a'), value('b')), () => {});
  await checkArchive(file);
  writeFileSync(file, spoil(readFileSync(file, 'utf8')));
  await expect(checkArchive(file)).rejects.toMatchObject({ reason: 'invalid', message: expect.stringMatching(why) });
});

it('leaves the old backup alone when the new one fails', async () => {
  const file = join(temporaryFolder(), 'backup');
  await writeArchive(file, header(5), pagesOf(), () => {});
  const before = readFileSync(file, 'utf8');
  async function* failing(): AsyncGenerator<readonly StoredValue[]> {
    yield [{ key: '/registry/a', value: 'x', createRevision: 1, modRevision: 1 }];
    throw new Error('the disk broke');
  }
  await expect(writeArchive(file, header(6), failing(), () => {})).rejects.toThrow('the disk broke');
  expect(readFileSync(file, 'utf8')).toBe(before);
});

it('a compaction drops history and gives the disk back, with all values in place', async () => {
  const folder = temporaryFolder();
  const store = await open(folder);
  for (let round = 0; round < 5; round++) {
    await Promise.all(Array.from({ length: 400 }, (_, i) => put(store, `/registry/things/k${i}`, String(round).repeat(2_000))));
  }
  const before = await store.list('/registry/');
  await expect(compactEmbedded(folder, undefined)).rejects.toMatchObject({ reason: 'locked' });
  await store.close();
  await expect(compactEmbedded(folder, 9_999)).rejects.toMatchObject({ reason: 'invalid' });
  expect(await compactEmbedded(folder, 1_000)).toMatchObject({ revision: 2_000, compactedRevision: 1_000 });
  const { bytesBefore, bytesAfter, compactedRevision } = await compactEmbedded(folder, undefined);
  expect(compactedRevision).toBe(2_000);
  expect(bytesAfter).toBeLessThan(bytesBefore / 2);
  const after = await open(folder);
  expect(await after.list('/registry/')).toEqual(before);
  expect(after.compactedRevision()).toBe(2_000);
  expect(await putAt(after, '/registry/things/new', '')).toBe(2_001);
});

it('the file stays small however often values are written', async () => {
  const folder = temporaryFolder();
  const store = await openEmbeddedStore({ folder, historyRevisions: 500 });
  cleanup(() => store.close());
  const sizes: number[] = [];
  for (let round = 0; round < 30; round++) {
    await Promise.all(Array.from({ length: 400 }, (_, i) => put(store, `/registry/things/k${i}`, `${round}`.padEnd(1_000, 'x'))));
    sizes.push(statSync(join(folder, 'data.mdb')).size);
  }
  // What is deleted is written over: after the first rounds it grows no more.
  expect(sizes.at(-1)!).toBeLessThanOrEqual(sizes[9]! * 1.15);
});

it('large values do not make the history large', async () => {
  const folder = temporaryFolder();
  const store = await openEmbeddedStore({ folder, history: { bytes: 5_000_000 } });
  cleanup(() => store.close());
  for (let i = 0; i < 40; i++) await put(store, '/registry/things/a', String(i % 10).repeat(500_000));
  expect(store.compactedRevision()).toBeGreaterThan(30);
  expect(store.stats().bytesInUse).toBeLessThan(12_000_000);
});

it('a store with a history of an earlier format is read, and its watches list anew', async () => {
  const folder = temporaryFolder();
  const first = await open(folder);
  const revision = await putAt(first, '/registry/things/a', '1');
  await first.close();
  const tables = openTables(folder);
  tables.env.transactionSync(() => {
    tables.meta.removeSync('format');
    tables.history.putSync(revision, [1, '/registry/things/a', '1', 0] as never);
  });
  await tables.env.close();
  const second = await open(folder);
  expect((await second.get('/registry/things/a'))?.value).toBe('1');
  await expect(second.watch('/registry/', 0, () => {})).rejects.toMatchObject({ name: 'CompactedError', compactedRevision: revision });
});

it('a check finds tables that do not agree, and a repair loses no value', async () => {
  const folder = temporaryFolder();
  const store = await open(folder);
  for (const name of ['a', 'b', 'c']) await put(store, `/registry/things/${name}`, name);
  expect((await checkEmbedded(folder)).faults).toEqual([]);
  await store.close();

  const spoil = async (change: (tables: ReturnType<typeof openTables>) => void): Promise<void> => {
    const tables = openTables(folder);
    tables.env.transactionSync(() => change(tables));
    await tables.env.close();
  };
  await spoil(({ meta }) => meta.putSync('revision', 2));
  expect((await checkEmbedded(folder)).faults).toEqual([
    { part: 'counters', key: '/registry/things/c', problem: 'it has revision 3, and the store is only at 2' },
  ]);
  expect(await repairEmbedded(folder)).toBe(4);
  expect(await checkEmbedded(folder)).toMatchObject({ revision: 4, faults: [] });

  const again = await open(folder);
  await put(again, '/registry/things/d', 'd');
  await again.close();
  await spoil(({ history }) => void history.removeSync(5));
  expect((await checkEmbedded(folder)).faults).toMatchObject([{ part: 'history', key: '/registry/things/d' }]);
  await repairEmbedded(folder);
  const mended = await open(folder);
  expect((await mended.list('/registry/')).values.map(({ value }) => value)).toEqual(['a', 'b', 'c', 'd']);
  expect(mended.compactedRevision()).toBe(mended.revision());
  await expect(repairEmbedded(folder)).rejects.toMatchObject({ reason: 'locked' });
});

it('says so when there is no store, and makes none', async () => {
  const folder = temporaryFolder();
  for (const attempt of [checkEmbedded(folder), compactEmbedded(folder, undefined), openEmbeddedSnapshot(folder)]) {
    await expect(attempt).rejects.toMatchObject({ reason: 'invalid', message: `there is no store in ${folder}` });
  }
  expect(existsSync(join(folder, 'data.mdb'))).toBe(false);
  appendFileSync(join(folder, 'data.mdb'), 'not lmdb'.repeat(2_000));
  await expect(checkEmbedded(folder)).rejects.toMatchObject({ reason: 'unwritable', message: expect.stringContaining('no lmdb file') });
  const cut = temporaryFolder();
  const store = await open(cut);
  await Promise.all(Array.from({ length: 100 }, (_, i) => put(store, `/registry/things/k${i}`, 'x'.repeat(2_000))));
  await store.close();
  truncateSync(join(cut, 'data.mdb'), 100_000);
  await expect(openEmbeddedStore({ folder: cut })).rejects.toMatchObject({
    reason: 'unwritable',
    message: expect.stringMatching(/cut off: it has 100000 bytes and needs \d+; restore a backup/),
  });
});

it('goes from etcd to the embedded store and back, revisions growing', async () => {
  const folder = temporaryFolder();
  const store = await openTestEtcd(etcd, { prefix: '/from' });
  cleanup(() => store.close());
  await Promise.all(Array.from({ length: 250 }, (_, i) => put(store, `/registry/things/k${i}`, String(i))));
  const file = join(folder, 'backup');
  await backUp(await maintenance('/from').snapshot(), file);
  const backup = await checkArchive(file);
  expect(backup.keys).toBeGreaterThanOrEqual(250);
  await restore(join(folder, 'store'), file, backup.revision + 10);
  const embedded = await open(join(folder, 'store'));
  const things = async (from: Store) => (await from.list('/registry/things/')).values.map(({ key, value }) => [key, value]);
  expect(await things(embedded)).toEqual(await things(store));

  const target = await openTestEtcd(etcd, { prefix: '/to' });
  cleanup(() => target.close());
  await put(target, '/registry/things/k7', 'other');
  await put(target, '/registry/things/stray', 'other');
  const replace = (force: boolean) =>
    maintenance('/to').replace(readArchive(file), { beyond: backup.revision + 1_000, force, onProgress: () => {} });
  await expect(replace(false)).rejects.toMatchObject({ reason: 'invalid', message: expect.stringContaining('--force') });
  const revision = await replace(true);
  expect(revision).toBeGreaterThan(backup.revision + 1_000);
  await target.consistentRevision();
  expect(await things(target)).toEqual(await things(store));
  const fresh = await openTestEtcd(etcd, { prefix: '/to' });
  cleanup(() => fresh.close());
  await expect(fresh.watch('/registry/', backup.revision, () => {})).rejects.toMatchObject({ name: 'CompactedError' });
  const { before, after } = await maintenance('/to').defragment();
  expect(after).toBeLessThanOrEqual(before);
});
