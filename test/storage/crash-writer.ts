// Writes to the store in argv[2] from 64 writers until it is killed, and prints each acknowledged key and revision on a line of its own.
import { writeSync } from 'node:fs';
import { openEmbeddedStore } from '../../src/storage/index.ts';

const [, , folder = '', round = ''] = process.argv;
const store = await openEmbeddedStore({ folder, historyRevisions: 2_000 });
const writer = async (id: number): Promise<void> => {
  for (let i = 0; ; i++) {
    const key = `/registry/things/${round}/${id}-${i}`;
    const outcome = await store.commit({
      conditions: [{ key, modRevision: 0 }],
      writes: [{ put: { key, value: JSON.stringify({ key, pad: 'x'.repeat(500) }) } }],
    });
    if (outcome.ok) writeSync(1, `${key} ${outcome.revision}\n`);
  }
};
await Promise.all(Array.from({ length: 64 }, (_, id) => writer(id)));
