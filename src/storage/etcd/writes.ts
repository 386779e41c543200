import { StoreError, type StoreOutcome, type StoreTransaction } from '../store.ts';
import { checkTransaction } from '../transaction.ts';
import type { EtcdConnection } from './connection.ts';
import { isLeaseGone } from './errors.ts';
import type { KeySpace } from './keys.ts';
import type { LeasePool } from './leases.ts';
import { compareTarget, methods, type PutRequest, type RequestOp, type TxnResponse } from './rpc.ts';

/** The store's transactions as etcd's. */
export interface Writer {
  /** `revision` is etcd's after the transaction, whatever came of it. @throws StoreError */
  commit(transaction: StoreTransaction): Promise<{ readonly outcome: StoreOutcome; readonly revision: number }>;
  /** Writes a key without a meaning; returns the revision. @throws StoreError */
  fence(key: string): Promise<number>;
}

export function createWriter(connection: EtcdConnection, keys: KeySpace, leases: LeasePool): Writer {
  async function toOps({ writes }: StoreTransaction): Promise<RequestOp[]> {
    return Promise.all(
      writes.map(async (write): Promise<RequestOp> => {
        if ('delete' in write) return { request_delete_range: { key: keys.encode(write.delete.key) } };
        const lease = await leases.leaseOf(write.put.key);
        const put = { key: keys.encode(write.put.key), value: Buffer.from(write.put.value) };
        return { request_put: lease === undefined ? put : { ...put, lease } };
      }),
    );
  }

  async function run(transaction: StoreTransaction, mayRetry = true): Promise<TxnResponse> {
    const success = await toOps(transaction);
    try {
      return await connection.call(
        methods().txn,
        {
          compare: transaction.conditions.map(({ key, modRevision }) => ({
            key: keys.encode(key),
            target: compareTarget.modRevision,
            mod_revision: modRevision,
          })),
          success,
          failure: transaction.conditions.map(({ key }) => ({ request_range: { key: keys.encode(key) } })),
        },
        // Without conditions it comes to the same when it is made twice.
        { repeatable: transaction.conditions.length === 0, keep: isLeaseGone },
      );
    } catch (error) {
      if (!isLeaseGone(error)) throw error;
      if (!mayRetry) throw new StoreError('unavailable', 'etcd loses the leases of values that expire');
      for (const op of success) {
        const lease = 'request_put' in op ? (op.request_put satisfies PutRequest).lease : undefined;
        if (lease !== undefined) leases.forget(lease);
      }
      return run(transaction, false);
    }
  }

  return {
    async commit(transaction) {
      checkTransaction(transaction);
      const { header, succeeded, responses } = await run(transaction);
      const { revision } = header;
      if (succeeded) return { outcome: { ok: true, revision }, revision };
      const standing = responses.map(({ response_range }) => response_range?.kvs[0]);
      const failed = transaction.conditions.findIndex(({ modRevision }, index) => (standing[index]?.mod_revision ?? 0) !== modRevision);
      const current = standing[failed];
      return { outcome: { ok: false, current: current && keys.toStored(current) }, revision };
    },
    async fence(key) {
      const put = { request_put: { key: keys.encode(key), value: Buffer.from('{}') } };
      const { header } = await connection.call(methods().txn, { compare: [], success: [put], failure: [] }, { repeatable: true });
      return header.revision;
    },
  };
}
