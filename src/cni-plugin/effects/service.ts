import { join } from 'node:path';
import type { LinkOperation } from '../../dataplane/links.ts';
import { type CommandRunner, inNetworkNamespace } from '../../kernel/command-runner.ts';
import { createNetlink } from '../../kernel/netlink/netlink.ts';
import { operationLines } from '../../kernel/netlink/operation-lines.ts';
import { createNft } from '../../kernel/nft.ts';
import { startPersistentNetlink } from '../../kernel/netlink/persistent.ts';
import type { Daemon, DaemonContext } from '../../runtime/daemon.ts';
import { isPermanent } from '../errors.ts';
import { type InvocationOutcome, invoke } from '../invoke.ts';
import type { CniPorts, LinkPort } from '../ports.ts';
import { refuse } from '../refuse.ts';
import { declined, renderServiceReply, type ServiceRequest } from '../service.ts';
import {
  agentFolder,
  announceAgent,
  announceAgentAgain,
  linkAgentFolder,
  makeRunFolder,
  queueFolder,
  removeRunFolder,
  withdrawAgent,
} from './agent-folder.ts';
import { damageReporter } from './damage-reports.ts';
import { openDeleteQueue, queuedDeletesIn } from './delete-queue.ts';
import { guardedPorts } from './guarded-ports.ts';
import { openRequestSlots } from './request-slots.ts';
import { startRequestWatch } from './request-watch.ts';
import { systemPorts } from './system-ports.ts';

/** Milliseconds between two tries of what is queued. */
const queueInterval = 10_000;

/** Milliseconds between two looks whether launchers still know of this agent. */
const announceInterval = 1_000;

export interface CniServiceOptions {
  /** Folder of plugins, with the launcher. */
  readonly binDir: string;
  /** Folder of address reservations. */
  readonly stateDir: string;
}

/**
 * Answers the launcher (launcher.sh): the same decisions as in the executable, over the same state, but with programs that
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
  const nft = createNft(runner, { standby: true });
  const system = systemPorts(runner);
  const ports: CniPorts = {
    ...system,
    nat: { ...system.nat, nft },
    host,
    pod: (netns) => ({ ...system.pod(netns), read: createNetlink(inNetworkNamespace(reading(runner), netns)).read }),
    reportDamage: damageReporter((message) => log.warn(message)),
    queuedDeletes: queuedDeletesIn(queueFolder(folder)),
  };
  const queue = openDeleteQueue({
    folder: queueFolder(folder),
    log,
    now: () => clock.now(),
    reportDamage: ports.reportDamage,
    async remove({ invocation }) {
      // Not as one of several that are queued: this one is being done.
      const { queuedDeletes: _, ...rest } = ports;
      const outcome = await invoke(invocation, () => rest);
      return outcome.exitCode === 0 ? 'done' : isPermanent(outcome.stdout) ? 'refused' : 'failed';
    },
  });
  let underWay = 0;
  const slots = await openRequestSlots(runFolder, { runner, clock }, async (request, isWithdrawn) => {
    underWay++;
    try {
      return (await answer(request, guardedPorts(ports, isWithdrawn))) ?? declined;
    } finally {
      underWay--;
    }
  }).catch((error: unknown) => {
    host.close();
    throw error;
  });
  await queue.work();
  linkAgentFolder(folder, binDir);
  const watch = startRequestWatch(runFolder, join(folder, 'current'), clock);
  announceAgent(folder, runFolder);
  let cancelRetry = clock.setTimer(queueInterval, retry);
  function retry(): void {
    void queue.work();
    cancelRetry = clock.setTimer(queueInterval, retry);
  }
  let cancelAnnounce = clock.setTimer(announceInterval, announce);
  function announce(): void {
    if (announceAgentAgain(folder, runFolder)) log.warn('was taken for stuck, and launchers did without; asks them to come back');
    cancelAnnounce = clock.setTimer(announceInterval, announce);
  }
  return {
    async stop() {
      cancelRetry();
      cancelAnnounce();
      withdrawAgent(folder, runFolder);
      // Those who asked before are answered; those between do without.
      while (underWay > 0) await new Promise<void>((resolve) => clock.setTimer(5, resolve));
      watch.close();
      slots.close();
      nft.close?.();
      host.close();
      removeRunFolder(runFolder);
    },
  };
}

/** For reading alone: starts programs with less ado; what fails is run once more, and that answer counts. */
const reading = (runner: CommandRunner): CommandRunner => ({
  async run(command, args, options = {}) {
    const started = runner.standby?.(command, args).run(options.input ?? '', options.timeout ?? 30_000);
    return (await started?.catch(() => undefined)) ?? runner.run(command, args, options);
  },
});

/** Those that the launcher hands over. */
const commands: ReadonlySet<string | undefined> = new Set(['ADD', 'DEL', 'CHECK', 'STATUS']);

/** Undefined when the reply cannot be told to the launcher. */
async function answer({ invocation }: ServiceRequest, ports: CniPorts): Promise<string | undefined> {
  const { CNI_COMMAND: command, CNI_NETNS: netns } = invocation.environment;
  if (!commands.has(command)) return undefined;
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
