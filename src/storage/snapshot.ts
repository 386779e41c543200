import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openTables, readCounters, toStored } from './embedded-tables.ts';
import { StoreError, type StoredValue } from './store.ts';

/** Everything in a store as of one revision. */
export interface Snapshot {
  readonly revision: number;
  readonly source: 'embedded' | 'etcd';
  /** In key order. To be read once. */
  readonly pages: AsyncIterable<readonly StoredValue[]>;
  close(): Promise<void>;
}

const pageKeys = 500;

/**
 * Of an embedded store, whether a server runs on it or not: lmdb's readers see one revision and wait for nobody. It should be closed soon, because
 * the store cannot use the room of what is deleted meanwhile.
 * @throws StoreError `invalid` when there is no store in the folder.
 */
export async function openEmbeddedSnapshot(folder: string): Promise<Snapshot> {
  assertStoreIn(folder);
  const tables = openTables(folder, true);
  const transaction = tables.env.useReadTransaction();
  async function* pages(): AsyncGenerator<readonly StoredValue[]> {
    let page: StoredValue[] = [];
    for (const { key, value } of tables.values.getRange({ transaction })) {
      page.push(toStored(key, value));
      if (page.length < pageKeys) continue;
      yield page;
      page = [];
    }
    if (page.length > 0) yield page;
  }
  return {
    revision: readCounters(tables, transaction).revision,
    source: 'embedded',
    pages: pages(),
    async close() {
      transaction.done();
      await tables.env.close();
    },
  };
}

export const hasStore = (folder: string): boolean => existsSync(join(folder, 'data.mdb'));

/** @throws StoreError `invalid` */
export function assertStoreIn(folder: string): void {
  if (!hasStore(folder)) throw new StoreError('invalid', `there is no store in ${folder}`);
}
