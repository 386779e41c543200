import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { selectionOf } from '../../src/api-server/selection.ts';
import { startWatchCache } from '../../src/api-server/watch-cache.ts';
import { createWatchEncoder, seenBy } from '../../src/api-server/watch-events.ts';
import { findKind } from '../../src/objects/index.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { createMemoryStore } from '../../src/storage/index.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function heapInUse(): number {
  collectGarbage();
  return getHeapStatistics().used_heap_size;
}

it('the cache, its history and its watchers hold as much after 60,000 updates as after 10,000', async () => {
  const kind = findKind('', 'v1', 'configmaps')!;
  const store = createMemoryStore({ historyRevisions: 1_000 });
  const cache = await startWatchCache([kind], store, systemClock);
  let bytes = 0;
  for (const query of ['', 'labelSelector=app%3Dx', 'labelSelector=app%3Dy']) {
    const selection = selectionOf(kind, 'default', new URLSearchParams(query));
    const accepted = { encoding: 'json', form: 'object', metaVersion: 'v1' } as const;
    const encoder = createWatchEncoder(kind, accepted, 'Metadata', () => 0);
    cache.of(kind).subscribe((event) => {
      const seen = seenBy(selection, event);
      if (seen) bytes += encoder.event(seen.type, seen.object).length;
    });
  }
  let next = 0;
  const update = async (times: number): Promise<void> => {
    for (let i = 0; i < times; i++) {
      const n = next++;
      const key = `/registry/configmaps/default/c${n % 200}`;
      const metadata = { name: `c${n % 200}`, namespace: 'default', labels: { app: n % 3 === 0 ? 'x' : 'y' } };
      const value = JSON.stringify({ kind: 'ConfigMap', apiVersion: 'v1', metadata, data: { n: String(n), filler: 'z'.repeat(300) } });
      await store.commit({ conditions: [], writes: [n % 50 === 49 ? { delete: { key } } : { put: { key, value } }] });
    }
  };
  await update(10_000);
  const before = heapInUse();
  await update(50_000);
  const after = heapInUse();
  expect(bytes).toBeGreaterThan(60_000 * 300);
  // A leak of ten bytes an update would be seen.
  expect(after - before).toBeLessThan(500_000);
  cache.stop();
}, 60_000);
