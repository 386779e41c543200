import type { IpSets } from '../dataplane/ipset.ts';
import { type IpSetOperation, printIpSetRestore } from '../dataplane/ipset-diff.ts';
import { parseIpSetSave } from '../dataplane/ipset-parse.ts';
import type { CommandRunner } from './command-runner.ts';
import { classifyIpvs } from './ipvs-error.ts';
import { createStandby } from './standby.ts';

/** Sets of the current network namespace. */
export interface IpSetDoor {
  /** Those whose names `wanted` accepts. @throws IpvsError, IpSetSyntaxError */
  read(wanted: (name: string) => boolean): Promise<IpSets>;
  /** One `ipset restore`. It ends at the first line that fails; those before it are done. @throws IpvsError */
  apply(operations: readonly IpSetOperation[]): Promise<void>;
  /** Ends what is kept running. */
  close(): void;
}

export interface IpSetSettings {
  /** Keeps an ipset started that waits for the next operations, so that a few take a third of the time. */
  readonly standby?: boolean;
}

/** Milliseconds for one run. */
const timeout = 120_000;

/** Sets through ipset (7 or later). */
export function createIpSets(runner: CommandRunner, { standby = false }: IpSetSettings = {}): IpSetDoor {
  const restoring = createStandby(runner, standby, 'ipset', ['restore']);
  const explained = async <T>(run: Promise<T>, input?: string): Promise<T> => {
    try {
      return await run;
    } catch (error) {
      throw classifyIpvs(error, 'ipset', (stderr) => missingFor(stderr, input), conflict);
    }
  };
  return {
    async read(wanted) {
      const { stdout } = await explained(runner.run('ipset', ['save'], { timeout }));
      return parseIpSetSave(stdout, wanted);
    },
    async apply(operations) {
      if (operations.length === 0) return;
      const input = printIpSetRestore(operations);
      await explained(restoring.run(input, timeout), input);
    },
    close: restoring.close,
  };
}

const conflict = /already (?:exists|added)|not added|does not exist|in use by a kernel component/i;

function missingFor(stderr: string, input: string | undefined): readonly [string, string] | undefined {
  if (/cannot open session to kernel/i.test(stderr)) return ['ip_set', 'sets of addresses (ipset)'];
  if (!/set type not supported|does not support|typename/i.test(stderr)) return undefined;
  const line = input?.split('\n')[Number(/line (\d+)/.exec(stderr)?.[1] ?? 1) - 1] ?? '';
  const type = /^create \S+ (\S+)/.exec(line)?.[1] ?? 'hash:ip,port';
  return [`ip_set_${type.replace(':', '_').replaceAll(',', '')}`, `sets of type ${type}`];
}
