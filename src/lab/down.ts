import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { CommandRunner } from '../kernel/command-runner.ts';
import { listNetworkNamespaces, networkNamespaceProcesses, removeNamespaceFolder, removeNetworkNamespaces } from '../kernel/netns.ts';
import { withDescendants } from '../kernel/process-table.ts';
import { endProcess, identify, type ProcessIdentity } from '../kernel/processes.ts';
import type { Clock } from '../runtime/clock.ts';
import { type LabLayout, namespacePrefix } from './layout.ts';
import { readComponents, readSupervisor } from './records.ts';

export interface Removed {
  readonly processes: number;
  readonly namespaces: number;
}

/**
 * Removes everything of a lab: supervisor, daemons, pods, namespaces (and with them links, routes, rules and tables), state. Works on
 * whatever is there, also after a crash or without the state folder; a lab that is not there is no error.
 */
export async function takeDown(layout: LabLayout, { runner, clock }: { runner: CommandRunner; clock: Clock }): Promise<Removed> {
  let processes = 0;
  const end = async (identities: readonly ProcessIdentity[], patience: number): Promise<void> => {
    processes += (await Promise.all(identities.map((identity) => endProcess(identity, clock, patience)))).filter(Boolean).length;
  };
  // The supervisor first, so that it starts nothing again; it ends its daemons itself unless it crashed.
  const supervisor = readSupervisor(layout);
  await end([...(supervisor ? [supervisor] : []), ...straySupervisors(layout)], 8_000);
  await end([...readComponents(layout).values()], 500);

  const prefix = namespacePrefix(layout.lab);
  const namespaces = listNetworkNamespaces().filter((name) => name.startsWith(prefix));
  // Whatever still lives in the lab's namespaces is the lab's: pods, their shims, commands run in them. So is what they have started: the pods of a
  // containerd live in namespaces without a name, their shims in that of the node.
  for (let round = 0; round < 5; round++) {
    const inside = withDescendants(networkNamespaceProcesses(namespaces)).flatMap(({ pid }) => identify(pid) ?? []);
    if (inside.length === 0) break;
    await end(inside, 0);
  }
  await removeNetworkNamespaces(runner, namespaces);
  if (existsSync(layout.madeNamespaceFolder) && listNetworkNamespaces().length === 0) {
    await removeNamespaceFolder(runner);
    await rm(layout.madeNamespaceFolder, { force: true });
  }
  await rm(layout.root, { recursive: true, force: true });
  return { processes, namespaces: namespaces.length };
}

/** Supervisors of this lab that the record does not name: known by their command line, `... lab supervise <root>`. */
function straySupervisors(layout: LabLayout): ProcessIdentity[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) return [];
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      const at = words.indexOf('supervise');
      return at > 0 && words[at - 1] === 'lab' && words[at + 1] === layout.root ? (identify(Number(name)) ?? []) : [];
    } catch {
      // Gone meanwhile.
      return [];
    }
  });
}
