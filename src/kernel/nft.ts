import type { NftFamily, NftTable, NftTransaction } from '../dataplane/nft.ts';
import { parseNftTable } from '../dataplane/nft-parse.ts';
import { printNftTransaction, tableText } from '../dataplane/nft-print.ts';
import { CommandError, type CommandRunner } from './command-runner.ts';
import { type NftWatch, watchNftTable } from './nft-watch.ts';
import { createStandby } from './standby.ts';

/** Why nft failed, in a few stable words. */
export type NftErrorCode = 'not-installed' | 'not-permitted' | 'not-found' | 'exists' | 'busy' | 'syntax' | 'failed';

/** nft refused something. The kernel's tables are as before: a transaction is done whole or not at all. */
export class NftError extends Error {
  readonly code: NftErrorCode;
  constructor(code: NftErrorCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'NftError';
    this.code = code;
  }
}

export interface NftCounter {
  readonly packets: number;
  readonly bytes: number;
}

/** nftables of the current network namespace: one table at a time, of family inet when it is not said; others are not looked at. */
export interface Nft {
  /** The table, or undefined when there is none. @throws NftError */
  read(table: string, family?: NftFamily): Promise<NftTable | undefined>;
  /** Asks nft and the kernel whether they would take the transaction, without doing it. @throws NftError */
  check(transaction: NftTransaction): Promise<void>;
  /** Does the transaction, whole or not at all. Returns the bytes sent. @throws NftError */
  apply(transaction: NftTransaction): Promise<number>;
  /** What the table's named counters have counted; empty without the table. @throws NftError */
  counters(table: string, family?: NftFamily): Promise<ReadonlyMap<string, NftCounter>>;
  /** Watches the table for changes by others; undefined when this machine cannot. */
  watch?(table: string, family: NftFamily, onForeignChange: () => void): NftWatch | undefined;
  /** Ends what is kept running. */
  close?(): void;
}

export interface NftSettings {
  /** Keeps an nft started that waits for the next transaction, so that a small one takes a third of the time. */
  readonly standby?: boolean;
}

/** Milliseconds for one run. */
const timeout = 120_000;

/** nftables through the `nft` tool (1.0.6 or later), one process a call, transactions over standard input. */
export function createNft(runner: CommandRunner, { standby = false }: NftSettings = {}): Nft {
  const loading = createStandby(runner, standby, 'nft', ['--file', '-']);
  const run = async (args: readonly string[], input?: string): Promise<string> => {
    try {
      return (await runner.run('nft', args, { timeout, ...(input === undefined ? {} : { input }) })).stdout;
    } catch (error) {
      throw classify(error);
    }
  };
  const listed = async (args: readonly string[]): Promise<string | undefined> => {
    try {
      return await run(args);
    } catch (error) {
      if (error instanceof NftError && error.code === 'not-found') return undefined;
      throw error;
    }
  };
  return {
    async read(table, family) {
      const listing = await listed(['--json', 'list', 'table', ...tableText(table, family).split(' ')]);
      return listing === undefined ? undefined : parseNftTable(table, listing, family);
    },
    async check(transaction) {
      await run(['--check', '--file', '-'], printNftTransaction(transaction));
    },
    async apply(transaction) {
      const input = printNftTransaction(transaction);
      try {
        await loading.run(input, timeout);
      } catch (error) {
        throw classify(error);
      }
      return Buffer.byteLength(input);
    },
    watch: (table, family, onForeignChange) => watchNftTable(runner, table, family, onForeignChange),
    close: loading.close,
    async counters(table, family) {
      const listing = await listed(['--json', 'list', 'counters', 'table', ...tableText(table, family).split(' ')]);
      if (listing === undefined) return new Map();
      const { nftables } = JSON.parse(listing) as {
        nftables: { counter?: { name: string; table: string; packets: number; bytes: number } }[];
      };
      return new Map(
        nftables.flatMap(({ counter }) =>
          counter?.table === table ? [[counter.name, { packets: counter.packets, bytes: counter.bytes }]] : [],
        ),
      );
    },
  };
}

const codes: readonly (readonly [RegExp, NftErrorCode])[] = [
  [/syntax error|unknown identifier|Could not resolve/i, 'syntax'],
  [/Operation not permitted|Permission denied/i, 'not-permitted'],
  [/No such file or directory|does not exist/i, 'not-found'],
  [/File exists|conflicting intervals/i, 'exists'],
  [/Device or resource busy/i, 'busy'],
];

function classify(error: unknown): unknown {
  if (!(error instanceof CommandError)) return error;
  if (error.reason === 'not-installed') return new NftError('not-installed', 'nft is not installed (Debian package nftables)', error);
  if (error.reason === 'not-permitted')
    return new NftError('not-permitted', 'nft needs root, or CAP_NET_ADMIN in this network namespace', error);
  const code = error.reason === 'failed' ? (codes.find(([words]) => words.test(error.stderr))?.[1] ?? 'failed') : 'failed';
  return new NftError(code, error.message, error);
}
