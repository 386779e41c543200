import { type DummyLinkOperation, printDummyLink } from '../dataplane/ipvs-director.ts';
import { type Family, parseAddress } from '../net/index.ts';
import { CommandError, type CommandRunner } from './command-runner.ts';
import { ipBatch, ipJson } from './ip.ts';
import { IpvsError, missingModule } from './ipvs-error.ts';

/** The addresses of one family in the current network namespace, with one dummy link set apart. */
export interface DummyLinkState {
  readonly hasLink: boolean;
  /** On the link. */
  readonly addresses: ReadonlyMap<string, true>;
  /** On all other links. */
  readonly others: readonly string[];
}

/** One dummy link. */
export interface DummyLink {
  /** @throws CommandError */
  read(): Promise<DummyLinkState>;
  /**
   * One `ip -batch`. What is already as it shall be is no failure, for both families share the link: it is deleted by the family that leaves last.
   * @throws IpvsError
   */
  apply(operations: readonly DummyLinkOperation[]): Promise<void>;
}

interface IpAddresses {
  readonly ifname: string;
  readonly addr_info?: readonly { readonly local?: string; readonly family?: string }[];
}

export function createDummyLink(runner: CommandRunner, family: Family, link: string): DummyLink {
  const list = () => ipJson<IpAddresses>(runner, ['addr', 'show']);
  /** Takes the family's addresses off. Whether none is left. */
  const leave = async (): Promise<boolean> => {
    const own = (await list()).find(({ ifname }) => ifname === link);
    if (!own) return false;
    const left = (own.addr_info ?? []).filter((entry) => entry.family !== inet[family]);
    if (left.length > 0) await runner.run('ip', [`-${family}`, 'address', 'flush', 'dev', link]);
    return left.length === 0;
  };
  return {
    async read() {
      const links = await list();
      const of = (wanted: (name: string) => boolean): string[] =>
        links.flatMap(({ ifname, addr_info: entries = [] }) =>
          wanted(ifname)
            ? entries.flatMap(({ local, family: name }) => (local && name === inet[family] ? [parseAddress(local).text] : []))
            : [],
        );
      return {
        hasLink: links.some(({ ifname }) => ifname === link),
        addresses: new Map(of((name) => name === link).map((text) => [text, true])),
        others: [...new Set(of((name) => name !== link))].sort(),
      };
    },
    async apply(operations) {
      try {
        if (operations.some(({ op }) => op === 'delete-link') && !(await leave())) return;
        const failures = await ipBatch(runner, printDummyLink(operations, family, link), { force: true });
        const failure = failures.find(({ line, detail }) => !tolerated[operations[line - 1]!.op].test(detail));
        if (!failure) return;
        if (/unknown device type|not supported/i.test(failure.detail)) throw missingModule('dummy', 'dummy links', failure);
        throw new IpvsError('refused', failure.message, failure);
      } catch (error) {
        if (error instanceof CommandError)
          throw new IpvsError(error.reason === 'failed' ? 'refused' : error.reason, error.message.trim(), error);
        throw error;
      }
    },
  };
}

const inet: Readonly<Record<Family, string>> = { 4: 'inet', 6: 'inet6' };

const tolerated: Readonly<Record<DummyLinkOperation['op'], RegExp>> = {
  'add-link': /file exists/i,
  'delete-link': /cannot find device/i,
  'add-address': /file exists|already assigned/i,
  'delete-address': /cannot assign requested address|address not found|cannot find device/i,
};
