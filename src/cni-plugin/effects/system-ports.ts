import { existsSync, lstatSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type CommandRunner, inNetworkNamespace } from '../../kernel/command-runner.ts';
import { createMacGuard } from '../../kernel/mac-guard.ts';
import { namespaceIdentity, readBootId, readForwarding } from '../../kernel/namespace-identity.ts';
import { createNetlink } from '../../kernel/netlink/netlink.ts';
import { openClaimFiles } from '../../storage/claim-files.ts';
import type { CniPorts } from '../ports.ts';
import { agentLinkName, readCurrentAgent } from './agent-folder.ts';
import { damageReporter } from './damage-reports.ts';
import { systemDelegationPorts } from './delegation-ports.ts';
import { systemExtrasPorts } from './extras-ports.ts';

/** The plugin's ports on this machine, in the network namespace of this process. */
export function systemPorts(runner: CommandRunner, bootId: string = readBootId()): CniPorts {
  return {
    ...systemExtrasPorts(runner, bootId),
    ...systemDelegationPorts(runner),
    macGuard: createMacGuard(runner),
    reportDamage: damageReporter((message) => void process.stderr.write(`podwire-cni: ${message}\n`)),
    host: createNetlink(runner),
    pod: (netns) => createNetlink(inNetworkNamespace(runner, netns)),
    openStore: (dataDir, name) => openClaimFiles(join(dataDir, name), bootId),
    namespaceIdentity,
    ownNamespace: '/proc/self/ns/net',
    forwards: readForwarding,
    bootId,
    now: () => Date.now(),
    sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
  };
}

/** What is wrong with the agent that the executable at this path was installed by; undefined when it was installed by none, or that one runs. */
export function agentProblem(executable: string): string | undefined {
  const link = join(dirname(executable), agentLinkName);
  if (!lstatSync(link, { throwIfNoEntry: false })) return undefined;
  if (!existsSync(link)) return `the node agent has not run since its folder ${link} was removed`;
  return readCurrentAgent(link) ? undefined : 'the node agent is not running';
}
