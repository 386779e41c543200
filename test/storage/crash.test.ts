import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { openEmbeddedStore } from '../../src/storage/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'podwire-crash-'));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the writer until it acknowledged at least `writes` keys and then a little longer, kills it with SIGKILL, and returns key -> revision. */
async function writeUntilKilled(round: number, writes: number): Promise<Map<string, number>> {
  const child = spawn(process.execPath, [new URL('crash-writer.ts', import.meta.url).pathname, folder, String(round)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  let lines = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk;
    lines += chunk.toString().split('\n').length - 1;
    if (lines >= writes) child.kill('SIGKILL');
  });
  const [, signal] = (await once(child, 'close')) as [number | null, string | null];
  expect(signal).toBe('SIGKILL');
  return new Map(
    output
      .split('\n')
      .slice(0, -1)
      .map((line) => line.split(' '))
      .map(([key, revision]) => [key!, Number(revision)]),
  );
}

it('has every acknowledged write after kill -9 during 64 concurrent writers, again and again', { timeout: 120_000 }, async () => {
  const acknowledged = new Map<string, number>();
  let lastRevision = 0;
  for (let round = 0; round < 6; round++) {
    for (const [key, revision] of await writeUntilKilled(round, 300 + 217 * round)) acknowledged.set(key, revision);
    const store = await openEmbeddedStore({ folder });
    const { values, revision } = await store.list('/registry/');
    const found = new Map(values.map((value) => [value.key, value]));
    for (const [key, modRevision] of acknowledged) expect(found.get(key), key).toMatchObject({ modRevision });
    for (const { key, value } of values) expect(JSON.parse(value).key).toBe(key);
    expect(revision).toBeGreaterThan(lastRevision);
    expect(revision).toBe(Math.max(...values.map(({ modRevision }) => modRevision)));
    // The history was written in the same transactions as the values: none is missing, none is ahead.
    const revisions: number[] = [];
    (await store.watch('/', store.compactedRevision(), (event) => revisions.push(event.revision))).stop();
    expect(revisions).toEqual(Array.from({ length: revision - store.compactedRevision() }, (_, i) => store.compactedRevision() + 1 + i));
    lastRevision = revision;
    await store.close();
  }
});

it('tells who holds the folder when another process has it open, and opens it once that one is killed', { timeout: 30_000 }, async () => {
  const child = spawn(process.execPath, [new URL('crash-writer.ts', import.meta.url).pathname, folder, 'x'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await once(child.stdout, 'data');
    child.stdout.resume();
    await expect(openEmbeddedStore({ folder })).rejects.toMatchObject({
      reason: 'locked',
      message: expect.stringContaining(`process ${child.pid}`),
    });
  } finally {
    child.kill('SIGKILL');
    await once(child, 'close');
  }
  const store = await openEmbeddedStore({ folder });
  expect(store.revision()).toBeGreaterThan(0);
  await store.close();
});
