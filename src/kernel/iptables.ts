import type { IptablesRuleset } from '../dataplane/iptables.ts';
import { chunkIptablesChange } from '../dataplane/iptables-chunks.ts';
import { type IptablesChange, printRestore } from '../dataplane/iptables-diff.ts';
import { parseIptablesSave } from '../dataplane/iptables-parse.ts';
import type { Family } from '../net/index.ts';
import { CommandError, type CommandRunner } from './command-runner.ts';

/** `auto` is whatever `iptables` stands for on the machine. */
type IptablesVariant = 'auto' | 'nft' | 'legacy';

export interface IptablesSettings {
  readonly variant?: IptablesVariant;
  /** Seconds to wait for the xtables lock (legacy only; nf_tables has none). Default 5. */
  readonly lockTimeout?: number;
}

/** iptables or ip6tables of this machine. */
export interface Iptables {
  readonly family: Family;
  /** Every table the kernel has. @throws IptablesError */
  read(): Promise<IptablesRuleset>;
  /**
   * One iptables-restore --noflush; each table is changed whole or not at all. A large change goes to iptables-nft in several, see
   * {@link chunkIptablesChange}. Returns the bytes sent. @throws IptablesError
   */
  apply(change: IptablesChange): Promise<number>;
  /** Has it checked without doing it. @throws IptablesError */
  check(change: IptablesChange): Promise<void>;
}

export type IptablesErrorCode =
  /** Another program kept the xtables lock for longer than the timeout. */
  | 'lock-held'
  | 'not-installed'
  | 'not-permitted'
  | 'timeout'
  /** The kernel's rules are not what the change was made for: a chain or rule is missing, or a chain is in use. Reading them anew helps. */
  | 'conflict'
  /** The kernel or the tool does not take the rules. */
  | 'refused';

/** A failed iptables command. `code` is stable; `line` is the line of the input it stumbled over, as far as the tool tells. */
export class IptablesError extends Error {
  readonly code: IptablesErrorCode;
  readonly line: string | undefined;
  constructor(code: IptablesErrorCode, message: string, line: string | undefined, cause: unknown) {
    super(line === undefined ? message : `${message}; at ${JSON.stringify(line)}`, { cause });
    this.name = 'IptablesError';
    this.code = code;
    this.line = line;
  }
}

/** Operations in one restore of iptables-nft: fewer take more processes, more take longer for each (seen on 1.8.9). */
const chunkSize = 3_000;

/** Drives the machine's iptables-save and iptables-restore (1.8 or later, nf_tables or legacy) through the runner. */
export function createIptables(
  runner: CommandRunner,
  family: Family,
  { variant = 'auto', lockTimeout = 5 }: IptablesSettings = {},
): Iptables {
  const base = `${family === 4 ? 'iptables' : 'ip6tables'}${variant === 'auto' ? '' : `-${variant}`}`;
  let isNft: Promise<boolean> | undefined = variant === 'auto' ? undefined : Promise.resolve(variant === 'nft');
  /** What `iptables` stands for; a tool that does not say is taken for legacy, to which nothing is sent in pieces. */
  const findVariant = (): Promise<boolean> =>
    runner.run(base, ['--version']).then(
      ({ stdout }) => stdout.includes('nf_tables'),
      () => false,
    );
  const restore = async (change: IptablesChange, ...more: string[]): Promise<number> => {
    const input = printRestore(change);
    try {
      await runner.run(`${base}-restore`, ['-w', `${lockTimeout}`, '--noflush', ...more], { input, timeout: 120_000 });
    } catch (error) {
      throw classify(error, input);
    }
    return Buffer.byteLength(input);
  };
  return {
    family,
    async read() {
      try {
        const { stdout } = await runner.run(`${base}-save`, [], { timeout: 120_000 });
        return parseIptablesSave(family, stdout);
      } catch (error) {
        throw classify(error, '');
      }
    },
    async apply(change) {
      const isLarge = change.tables.reduce((sum, { operations }) => sum + operations.length, 0) > chunkSize;
      if (!isLarge || !(await (isNft ??= findVariant()))) return restore(change);
      let bytes = 0;
      for (const chunk of chunkIptablesChange(change, chunkSize)) bytes += await restore(chunk);
      return bytes;
    },
    async check(change) {
      await restore(change, '--test');
    },
  };
}

function classify(error: unknown, input: string): unknown {
  if (!(error instanceof CommandError)) return error;
  const number = /\bline:? (\d+)/i.exec(error.stderr)?.[1];
  const line = number === undefined ? undefined : input.split('\n')[Number(number) - 1];
  return new IptablesError(codeOf(error), error.message, line, error);
}

function codeOf({ reason, stderr }: CommandError): IptablesErrorCode {
  if (reason !== 'failed') return reason;
  if (/xtables lock|another app is currently holding/i.test(stderr)) return 'lock-held';
  if (
    /no chain\/target\/match by that name|does a matching rule exist|does not exist|no such file or directory|device or resource busy|couldn't load target/i.test(
      stderr,
    )
  ) {
    return 'conflict';
  }
  // iptables-legacy 1.8 says no more when it is the kernel that refuses; what the tool itself does not understand it explains.
  return /^ip6?tables-restore: line \d+ failed\s*$/.test(stderr) ? 'conflict' : 'refused';
}
