import type { FlowGroup, FlowTuple, TrackedFlow } from '../dataplane/flows.ts';
import { type Family, tryParseAddress } from '../net/index.ts';
import { CommandError, type CommandRunner } from './command-runner.ts';

/** Connection tracking of the current network namespace, through the `conntrack` tool (1.4.7 or later deletes many flows in one process). */
export interface Conntrack {
  /** Every UDP flow of the family. @throws CommandError; its reason is `not-installed` without the tool. */
  listUdp(family: Family): Promise<TrackedFlow[]>;
  /**
   * Deletes the flows of each group in one process; none being left is no failure. Each group costs the kernel a look through its whole
   * table (50 ms and more), each single flow would too. @throws CommandError
   */
  deleteUdp(family: Family, groups: readonly FlowGroup[]): Promise<void>;
  /** Deletes the flows that were opened to the ports, wherever they went; none being left is no failure. @throws CommandError */
  deleteUdpTo(ports: readonly FlowPort[]): Promise<void>;
}

/** A port that UDP flows were opened to, at one address or at all. */
export interface FlowPort {
  readonly family: Family;
  readonly address?: string;
  readonly port: number;
}

/** Processes that are started at the same time. */
const mostAtOnce = 4;

export function createConntrack(runner: CommandRunner): Conntrack {
  const familyArguments = (family: Family): string[] => ['-f', family === 4 ? 'ipv4' : 'ipv6'];
  return {
    async listUdp(family) {
      const { stdout } = await runner.run('conntrack', ['-L', ...familyArguments(family), '-p', 'udp'], { timeout: 60_000 });
      return parseConntrack(stdout);
    },
    async deleteUdp(family, groups) {
      if (groups.length === 0) return;
      const deletions = groups.map((group) => deletionOf(familyArguments(family), group));
      try {
        const input = deletions.map((words) => `${words.join(' ')}\n`).join('');
        await runner.run('sh', ['-c', deleteMany], { input, timeout: 60_000 });
      } catch (error) {
        if (!(error instanceof CommandError) || error.reason !== 'failed') throw error;
        // Before 1.4.7 there is no -R. Exit code 1: no such flow any more.
        for (const words of deletions) await runner.run('conntrack', words, { acceptExitCodes: [1] });
      }
    },
    async deleteUdpTo(ports) {
      const forget = ({ family, address, port }: FlowPort): Promise<unknown> => {
        const where = address === undefined ? [] : ['-d', address];
        const words = ['-D', ...familyArguments(family), '-p', 'udp', ...where, '--dport', `${port}`];
        return runner.run('conntrack', words, { acceptExitCodes: [1] });
      };
      // A port mostly comes twice, once for each family.
      for (let at = 0; at < ports.length; at += mostAtOnce) await Promise.all(ports.slice(at, at + mostAtOnce).map(forget));
    },
  };
}

// conntrack opens /dev/stdin anew, which is not possible on the socket that Node gives a child as its standard input. A fixed script.
const deleteMany = 'cat | conntrack -R -';

function deletionOf(family: readonly string[], { source, destination, destinationPort, backend, backendPort }: FlowGroup): string[] {
  return [
    '-D',
    ...family,
    '-p',
    'udp',
    ...(source === undefined ? [] : ['-s', source]),
    '-d',
    destination,
    '--dport',
    `${destinationPort}`,
    '-r',
    backend,
    '--reply-port-src',
    `${backendPort}`,
  ];
}

/** Reads `conntrack -L -p udp`. Lines that are no UDP flow with both directions are left out. */
export function parseConntrack(text: string): TrackedFlow[] {
  const flows: TrackedFlow[] = [];
  for (const line of text.split('\n')) {
    if (!line.startsWith('udp ')) continue;
    const tuples = [...line.matchAll(/\bsrc=(\S+) dst=(\S+) sport=(\d+) dport=(\d+)/g)].map(readTuple);
    const [original, reply] = tuples;
    if (original && reply) flows.push({ protocol: 'udp', original, reply });
  }
  return flows;
}

function readTuple([, from = '', to = '', sourcePort, destinationPort]: RegExpMatchArray): FlowTuple | undefined {
  const source = tryParseAddress(from);
  const destination = tryParseAddress(to);
  if (!source || !destination) return undefined;
  return { source: source.text, destination: destination.text, sourcePort: Number(sourcePort), destinationPort: Number(destinationPort) };
}

/** True for the error of a machine without the tool. */
export const isMissingTool = (error: unknown): boolean => error instanceof CommandError && error.reason === 'not-installed';
