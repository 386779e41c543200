import { CompactedError, type StoredValue } from '../store.ts';
import type { EtcdConnection } from './connection.ts';
import { isCompacted } from './errors.ts';
import type { KeySpace } from './keys.ts';
import { methods, type RangeResponse } from './rpc.ts';

/** Bytes of values that a page should have; far below what one message may carry. */
const pageBytes = 4 * 1024 * 1024;
/** Values of 1.5 MiB, the largest, of which this many fit into a message of 64 MiB. */
const smallestPage = 40;
const largestPage = 10_000;

/** All values under a prefix as of one revision (0: now), in pages. @throws CompactedError when the revision is gone meanwhile; StoreError. */
export async function* readPages(
  connection: EtcdConnection,
  keys: KeySpace,
  prefix: string,
  revision = 0,
): AsyncGenerator<{ readonly revision: number; readonly values: readonly StoredValue[] }> {
  const { key: first, range_end } = keys.range(prefix);
  let key = first;
  let at = revision;
  let limit = smallestPage;
  for (;;) {
    const response = await rangeAt(connection, { key, range_end, limit, revision: at });
    at ||= response.header.revision;
    yield { revision: at, values: response.kvs.map((kv) => keys.toStored(kv)) };
    const last = response.kvs.at(-1);
    if (!response.more || !last) return;
    key = Buffer.concat([last.key, Buffer.from([0])]);
    const bytes = response.kvs.reduce((sum, kv) => sum + kv.value.length + kv.key.length, 0);
    // Values of one kind lie together and are of a size: the page before tells how many fit.
    limit = Math.min(Math.max(Math.floor((pageBytes / bytes) * response.kvs.length), smallestPage), largestPage);
  }
}

/** Up to and with which revision etcd's history is compacted, looked for between two revisions of which the later one is not. */
export async function compactedBetween(connection: EtcdConnection, keys: KeySpace, low: number, high: number): Promise<number> {
  const { key } = keys.range('/registry/');
  const isGone = async (revision: number): Promise<boolean> => {
    try {
      await rangeAt(connection, { key, revision, count_only: true });
      return false;
    } catch (error) {
      if (error instanceof CompactedError) return true;
      throw error;
    }
  };
  let [gone, there] = [Math.max(low, 1), high];
  if (!(await isGone(gone))) return Math.max(low, 0);
  while (there - gone > 1) {
    const middle = Math.floor((gone + there) / 2);
    if (await isGone(middle)) gone = middle;
    else there = middle;
  }
  return there;
}

async function rangeAt(
  connection: EtcdConnection,
  request: { key: Buffer; range_end?: Buffer; limit?: number; revision: number; count_only?: boolean },
): Promise<RangeResponse> {
  try {
    return await connection.call(methods().range, request, { repeatable: true, keep: isCompacted });
  } catch (error) {
    throw isCompacted(error) ? new CompactedError(request.revision) : error;
  }
}
