import { emptyNftTable, type NftFamily, type NftTable, type NftTransaction } from '../dataplane/nft.ts';
import { applyNftTransaction, NftRefusal } from '../dataplane/nft-apply.ts';
import { printNftTransaction } from '../dataplane/nft-print.ts';
import { type Nft, type NftCounter, NftError } from './nft.ts';

/** A kernel's nftables in memory. */
export interface FakeNft extends Nft {
  /** What it holds now, by name, or by `ip name` and `ip6 name` where the family is not inet. */
  readonly tables: Map<string, NftTable>;
  /** Every transaction done, oldest first. */
  readonly applied: readonly NftTransaction[];
  /** How often a table was read. */
  readonly reads: number;
  /** The next apply fails with this error. */
  failNext(error: Error): void;
  /** Sets what a named counter has counted. */
  count(table: string, counter: string, value: NftCounter): void;
}

const keyOf = (table: string, family: NftFamily = 'inet'): string => (family === 'inet' ? table : `${family} ${table}`);

/** Refuses what the kernel refuses, and does transactions whole or not at all. */
export function createFakeNft(): FakeNft {
  const tables = new Map<string, NftTable>();
  const applied: NftTransaction[] = [];
  const counts = new Map<string, NftCounter>();
  let reads = 0;
  let failure: Error | undefined;
  const attempt = (transaction: NftTransaction): NftTable | undefined => {
    try {
      return applyNftTransaction(tables.get(keyOf(transaction.table, transaction.family)), transaction);
    } catch (error) {
      if (!(error instanceof NftRefusal)) throw error;
      const code = error.message.startsWith('No such')
        ? 'not-found'
        : /busy/.test(error.message)
          ? 'busy'
          : /exists/.test(error.message)
            ? 'exists'
            : 'failed';
      throw new NftError(code, `operation ${error.operation + 1}: ${error.message}`, error);
    }
  };
  return {
    tables,
    applied,
    get reads() {
      return reads;
    },
    failNext(error) {
      failure = error;
    },
    count: (table, counter, value) => void counts.set(`${table} ${counter}`, value),
    read(table, family) {
      reads++;
      return Promise.resolve(tables.get(keyOf(table, family)));
    },
    check(transaction) {
      return Promise.resolve().then(() => void attempt(transaction));
    },
    async apply(transaction) {
      const error = failure;
      failure = undefined;
      if (error) throw error;
      const after = attempt(transaction);
      const key = keyOf(transaction.table, transaction.family);
      if (after) tables.set(key, after);
      else tables.delete(key);
      applied.push(transaction);
      return Buffer.byteLength(printNftTransaction(transaction));
    },
    counters(table, family) {
      const { counters } = tables.get(keyOf(table, family)) ?? emptyNftTable(table);
      return Promise.resolve(
        new Map([...counters].map((counter) => [counter, counts.get(`${table} ${counter}`) ?? { packets: 0, bytes: 0 }])),
      );
    },
  };
}
