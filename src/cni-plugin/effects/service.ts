import { rmSync } from 'node:fs';
import type { LinkOperation } from '../../dataplane/links.ts';
import type { CommandRunner } from '../../kernel/command-runner.ts';
import { operationLines } from '../../kernel/netlink/operation-lines.ts';
import { startPersistentNetlink } from '../../kernel/netlink/persistent.ts';
import type { Daemon, DaemonContext } from '../../runtime/daemon.ts';
import { refuse } from '../add.ts';
import { isPermanent } from '../errors.ts';
import { type InvocationOutcome, invoke } from '../invoke.ts';
import type { CniPorts, LinkPort } from '../ports.ts';
import { declined, renderServiceReply, type ServiceRequest } from '../service.ts';
import { agentFolder, announceAgent, linkAgentFolder, makeRunFolder, queueFolder, withdrawAgent } from './agent-folder.ts';
import { openDeleteQueue } from './delete-queue.ts';
import { openRequestSlots } from './request-slots.ts';
import { systemPorts } from './system-ports.ts';

/** Milliseconds between two tries of what is queued. */
const queueInterval = 10_000;

export interface CniServiceOptions {
  /** Folder of plugins, with the launcher. */
  readonly binDir: string;
  /** Folder of address reservations. */
  readonly stateDir: string;
}

/**
 * Answers ADD and DEL for the launcher (launcher.sh): the same decisions as in the executable, over the same state, but with programs that
 * are running already. What is to be done in the pod's namespace the launcher does at the end. Works in the network namespace of this process.
 * Stopping lets the launchers do without it.
 */
export async function startCniService(
  { binDir, stateDir }: CniServiceOptions,
  { runner }: { readonly runner: CommandRunner },
  context: DaemonContext,
): Promise<Daemon> {
  const { clock } = context;
  const log = context.log.child({ component: 'cni-service' });
  const folder = agentFolder(stateDir);
  const runFolder = makeRunFolder(folder);
  const host = await startPersistentNetlink({ runner, clock, folder: runFolder });
  const ports: CniPorts = { ...systemPorts(runner), host };
  const queue = openDeleteQueue(
    queueFolder(folder),
    log,
    () => clock.now(),
    async ({ invocation }) => {
      const outcome = await invoke(invocation, () => ports);
      return outcome.exitCode === 0 ? 'done' : isPermanent(outcome.stdout) ? 'refused' : 'failed';
    },
  );
  let underWay = 0;
  const slots = await openRequestSlots(runFolder, { runner, clock }, async (request) => {
    underWay++;
    try {
      return (await answer(request, ports)) ?? declined;
    } finally {
      underWay--;
    }
  }).catch((error: unknown) => {
    host.close();
    throw error;
  });
  await queue.work();
  linkAgentFolder(folder, binDir);
  announceAgent(folder, runFolder);
  let cancel = clock.setTimer(queueInterval, retry);
  function retry(): void {
    void queue.work();
    cancel = clock.setTimer(queueInterval, retry);
  }
  return {
    async stop() {
      cancel();
      withdrawAgent(folder, runFolder);
      // Those who asked before are answered; those between do without.
      while (underWay > 0) await new Promise<void>((resolve) => clock.setTimer(5, resolve));
      slots.close();
      host.close();
      rmSync(runFolder, { recursive: true, force: true });
    },
  };
}

/** Undefined when the reply cannot be told to the launcher. */
async function answer({ invocation }: ServiceRequest, ports: CniPorts): Promise<string | undefined> {
  const { CNI_COMMAND: command, CNI_NETNS: netns } = invocation.environment;
  if (command !== 'ADD' && command !== 'DEL') return undefined;
  const deferred: LinkOperation[] = [];
  const pod = (path: string): LinkPort => (path === netns ? deferring(ports.pod(path), deferred) : ports.pod(path));
  const outcome: InvocationOutcome = await invoke(invocation, () => ({ ...ports, pod }));
  return renderServiceReply({ ...outcome, podLines: outcome.exitCode === 0 ? deferred.flatMap(operationLines) : [] });
}

/**
 * Keeps operations for later. They cannot fail now; when they do, the launcher goes on as the executable, which finds the attachment half done.
 * Whoever looks into the namespace finds them done.
 */
function deferring(port: LinkPort, deferred: LinkOperation[]): LinkPort {
  const flush = async (): Promise<void> => {
    const operations = deferred.splice(0);
    if (operations.length > 0) refuse(await port.apply(operations), 'the pod');
  };
  return {
    async apply(operations, show = []) {
      if (show.length === 0) {
        deferred.push(...operations);
        return { failures: [], tolerated: [], shown: { links: new Map(), routes: [] } };
      }
      const before = deferred.splice(0);
      return port.apply([...before, ...operations], show);
    },
    async read(links) {
      await flush();
      return port.read(links);
    },
  };
}
