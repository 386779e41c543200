import type { IpSets } from '../dataplane/ipset.ts';
import { type IpSetOperation, printIpSetRestore } from '../dataplane/ipset-diff.ts';
import { parseIpSetSave } from '../dataplane/ipset-parse.ts';
import type { CommandRunner } from './command-runner.ts';
import { classifyIpvs } from './ipvs-error.ts';

/** Sets of the current network namespace. */
export interface IpSetDoor {
  /** Those whose names `wanted` accepts. @throws IpvsError, IpSetSyntaxError */
  read(wanted: (name: string) => boolean): Promise<IpSets>;
  /** One `ipset restore`. It ends at the first line that fails; those before it are done. @throws IpvsError */
  apply(operations: readonly IpSetOperation[]): Promise<void>;
}

/** Sets through ipset (7 or later). */
export function createIpSets(runner: CommandRunner): IpSetDoor {
  const run = async (args: readonly string[], input?: string): Promise<string> => {
    try {
      return (await runner.run('ipset', args, { timeout: 120_000, ...(input === undefined ? {} : { input }) })).stdout;
    } catch (error) {
      throw classifyIpvs(error, 'ipset', (stderr) => missingFor(stderr, input), conflict);
    }
  };
  return {
    read: async (wanted) => parseIpSetSave(await run(['save']), wanted),
    async apply(operations) {
      if (operations.length > 0) await run(['restore'], printIpSetRestore(operations));
    },
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
