import { StoreError, type StoredValue } from '../store.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Snapshot } from '../snapshot.ts';
import { compactTo } from './compactor.ts';
import { connectEtcd, type EtcdConnection } from './connection.ts';
import { createKeySpace, fenceKey, type KeySpace } from './keys.ts';
import type { EtcdOptions } from './options.ts';
import { readPages } from './reads.ts';
import { methods, type RequestOp } from './rpc.ts';

/** What is done with the keys in etcd apart from serving them. */
export interface EtcdMaintenance {
  snapshot(): Promise<Snapshot>;
  /**
   * Puts the values in the place of what is under the prefix, under new revisions that are all greater than `beyond`, and drops the history before.
   * Returns the revision after it. @throws StoreError `invalid` when there are keys and `force` is not set.
   */
  replace(
    values: AsyncIterable<StoredValue>,
    options: { readonly beyond: number; readonly force: boolean; readonly onProgress: (text: string) => void },
  ): Promise<number>;
  /** Drops history up to the revision, or all of it; returns the revision. */
  compact(revision: number | undefined): Promise<number>;
  /** Has each member free the disk space that compaction left; it does not answer meanwhile. Returns bytes on disk, of the first, before and after. */
  defragment(): Promise<{ readonly before: number; readonly after: number }>;
  close(): void;
}

const registry = '/registry/';
/** Puts of one transaction: few enough for a request of 1.5 MiB unless values are large, which go alone. */
const batchOps = 100;
const batchBytes = 512 * 1024;
const bumpers = 64;

export function createEtcdMaintenance(options: EtcdOptions, clock: Clock): EtcdMaintenance {
  const keys = createKeySpace(options.prefix);
  const connection = connectEtcd(options, clock, Math.random);

  async function currentRevision(): Promise<number> {
    const { header } = await connection.call(methods().range, { ...keys.range(registry), count_only: true }, { repeatable: true });
    return header.revision;
  }

  return {
    async snapshot() {
      const pages = readPages(connection, keys, registry);
      const first = (await pages.next()).value!;
      async function* all(): AsyncGenerator<readonly StoredValue[]> {
        yield first.values;
        for await (const { values } of pages) yield values;
      }
      return { revision: first.revision, source: 'etcd', pages: all(), close: async () => connection.close() };
    },
    async replace(values, { beyond, force, onProgress }) {
      const { count } = await connection.call(methods().range, { ...keys.range(registry), count_only: true }, { repeatable: true });
      if (count > 0 && !force) {
        throw new StoreError(
          'invalid',
          `there are ${count} keys under ${options.prefix} in etcd already; stop the servers and give --force to replace them`,
        );
      }
      await raiseRevision(connection, keys, await currentRevision(), beyond, onProgress);
      const start = await currentRevision();
      await writeAll(connection, keys, values, onProgress);
      await removeOlder(connection, keys, start);
      const revision = await currentRevision();
      await compactTo(connection, revision);
      return revision;
    },
    async compact(revision) {
      const to = revision ?? (await currentRevision());
      await compactTo(connection, to);
      return to;
    },
    async defragment() {
      const size = async (): Promise<number> => (await connection.call(methods().status, {}, { repeatable: true })).dbSize;
      const before = await size();
      await connection.callEach(methods().defragment, {}, 60_000);
      return { before, after: await size() };
    },
    close: () => connection.close(),
  };
}

/** etcd's revision grows by writing alone. */
async function raiseRevision(
  connection: EtcdConnection,
  keys: KeySpace,
  from: number,
  to: number,
  onProgress: (text: string) => void,
): Promise<void> {
  const put = { request_put: { key: keys.encode(fenceKey), value: Buffer.from('{}') } };
  let revision = from;
  let told = 0;
  const bump = async (): Promise<void> => {
    while (revision < to) {
      const { header } = await connection.call(methods().txn, { compare: [], success: [put], failure: [] }, { repeatable: true });
      revision = Math.max(revision, header.revision);
      if (revision - told >= 10_000) {
        told = revision;
        onProgress(`raising the revision: ${revision} of ${to}`);
      }
    }
  };
  await Promise.all(Array.from({ length: bumpers }, bump));
}

async function writeAll(
  connection: EtcdConnection,
  keys: KeySpace,
  values: AsyncIterable<StoredValue>,
  onProgress: (text: string) => void,
): Promise<void> {
  let ops: RequestOp[] = [];
  let bytes = 0;
  let written = 0;
  const flush = async (): Promise<void> => {
    if (ops.length === 0) return;
    await connection.call(methods().txn, { compare: [], success: ops, failure: [] }, { repeatable: true });
    written += ops.length;
    onProgress(`${written} keys written`);
    ops = [];
    bytes = 0;
  };
  for await (const { key, value } of values) {
    const put = { key: keys.encode(key), value: Buffer.from(value) };
    if (bytes + put.value.length > batchBytes) await flush();
    ops.push({ request_put: put });
    bytes += put.value.length;
    if (ops.length >= batchOps) await flush();
  }
  await flush();
}

/** Removes what was not written after the revision: what stood before and is not in the backup. */
async function removeOlder(connection: EtcdConnection, keys: KeySpace, revision: number): Promise<void> {
  for await (const { values } of readPages(connection, keys, registry)) {
    const old = values.filter(({ modRevision }) => modRevision <= revision);
    for (let i = 0; i < old.length; i += batchOps) {
      const success = old.slice(i, i + batchOps).map(({ key }) => ({ request_delete_range: { key: keys.encode(key) } }));
      await connection.call(methods().txn, { compare: [], success, failure: [] }, { repeatable: true });
    }
  }
}
