import type { ServerConnections, VirtualServers } from '../dataplane/ipvs.ts';
import type { IpvsOperation } from '../dataplane/ipvs-diff.ts';
import type { IpvsTimeouts } from '../dataplane/ipvs-director.ts';
import { parseIpvsConnections, parseIpvsSave } from '../dataplane/ipvs-parse.ts';
import { printIpvsRestore } from '../dataplane/ipvs-print.ts';
import { CommandError, type CommandRunner } from './command-runner.ts';
import { classifyIpvs } from './ipvs-error.ts';

/** Virtual servers of the current network namespace, of both families. */
export interface Ipvs {
  /** All that are known by address, port and protocol. @throws IpvsError */
  read(): Promise<VirtualServers>;
  /** @throws IpvsError */
  connections(): Promise<ServerConnections>;
  /** One `ipvsadm -R`. It goes on past a failing line, so that after an error some may be done. @throws IpvsError */
  apply(operations: readonly IpvsOperation[]): Promise<void>;
  /** @throws IpvsError */
  timeouts(): Promise<IpvsTimeouts>;
  /** 0 leaves one as it is. @throws IpvsError */
  setTimeouts(timeouts: IpvsTimeouts): Promise<void>;
}

/** IPVS through ipvsadm (1.31 or later). */
export function createIpvs(runner: CommandRunner): Ipvs {
  const run = async (args: readonly string[], input?: string): Promise<string> => {
    try {
      const { stdout, stderr } = await runner.run('ipvsadm', args, { timeout: 120_000, ...(input === undefined ? {} : { input }) });
      // A restore ends with 0 although a line failed, unless it was the last.
      if (stderr.trim() !== '') throw new CommandError('failed', ['ipvsadm', ...args], 0, stderr);
      return stdout;
    } catch (error) {
      throw classifyIpvs(error, 'ipvsadm', (stderr) => missingFor(stderr, input), conflict);
    }
  };
  return {
    read: async () => parseIpvsSave(await run(['-S', '-n'])),
    connections: async () => parseIpvsConnections(await run(['-L', '-n'])),
    async apply(operations) {
      if (operations.length > 0) await run(['-R'], printIpvsRestore(operations));
    },
    async timeouts() {
      const match = /: (\d+) (\d+) (\d+)/.exec(await run(['-L', '--timeout']));
      return [Number(match?.[1] ?? 0), Number(match?.[2] ?? 0), Number(match?.[3] ?? 0)];
    },
    async setTimeouts(timeouts) {
      await run(['--set', ...timeouts.map(String)]);
    },
  };
}

const conflict = /already exists|no such (?:service|destination)|service not defined/i;

function missingFor(stderr: string, input: string | undefined): readonly [string, string] | undefined {
  if (/can't initialize ipvs/i.test(stderr)) return ['ip_vs', 'IP virtual servers (IPVS)'];
  if (!/scheduler or persistence engine not found/i.test(stderr)) return undefined;
  const schedulers = [...new Set([...(input ?? '').matchAll(/ -s (\S+)/g)].map(([, name]) => name))];
  return [`ip_vs_${schedulers[0]}`, `IPVS scheduler ${schedulers.join(' or ')}`];
}
