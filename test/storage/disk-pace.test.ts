import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { createDiskPace } from '../../src/storage/embedded-tables.ts';
import { openEmbeddedStore } from '../../src/storage/index.ts';

it('a disk is quick until it proves slow, and may become quick again', async () => {
  let now = 0;
  const pace = createDiskPace(() => now);
  const commits = async (count: number, milliseconds: number): Promise<void> => {
    for (let i = 0; i < count; i++) await pace.time(() => void (now += milliseconds));
  };
  expect(pace.isQuick()).toBe(true);
  await commits(3, 5);
  expect(pace.isQuick()).toBe(true);
  await commits(10, 5);
  expect(pace.isQuick()).toBe(false);
  await commits(50, 0.5);
  expect(pace.isQuick()).toBe(true);
});

it.each([
  ['quick', 0],
  ['slow', 100],
])('on a %s disk every acknowledged write is there after the store is opened again', async (_title, step) => {
  const folder = mkdtempSync(join(tmpdir(), 'pace-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  let now = 0;
  const store = await openEmbeddedStore({ folder, now: () => (now += step) });
  const put = (name: string, value: string) =>
    store.commit({
      conditions: [{ key: `/registry/configmaps/default/${name}`, modRevision: 0 }],
      writes: [{ put: { key: `/registry/configmaps/default/${name}`, value } }],
    });
  const outcomes = await Promise.all(Array.from({ length: 40 }, (_, i) => put(`c${i}`, `${i}`)));
  for (let i = 40; i < 60; i++) outcomes.push(await put(`c${i}`, `${i}`));
  expect(outcomes.every(({ ok }) => ok)).toBe(true);
  expect((await put('c0', 'again')).ok).toBe(false);
  await store.close();
  const again = await openEmbeddedStore({ folder });
  expect((await again.list('/registry/configmaps/')).values.map(({ value }) => Number(value)).sort((a, b) => a - b)).toEqual(
    Array.from({ length: 60 }, (_, i) => i),
  );
  expect(again.revision()).toBe(60);
  await again.close();
});
