import { existsSync } from 'node:fs';
import { linkAddressText } from '../dataplane/links.ts';
import { listReservations, releaseAddresses } from '../ipam/index.ts';
import { type CommandRunner, systemRunner } from '../kernel/command-runner.ts';
import { namespaceIdentity, readBootId } from '../kernel/namespace-identity.ts';
import { createNetlink } from '../kernel/netlink/netlink.ts';
import type { ClusterCache } from '../kube/cluster-cache.ts';
import { resources } from '../objects/client.ts';
import type { DaemonContext, NodeDaemon } from '../runtime/daemon.ts';
import type { Logger } from '../runtime/log.ts';
import { Gauge } from '../runtime/metrics.ts';
import { startSyncLoop } from '../runtime/sync-loop.ts';
import type { ClaimFiles } from '../storage/claim-files.ts';
import { readFileIfThere } from '../storage/install-file.ts';
import { systemExtrasPorts } from './effects/extras-ports.ts';
import { openInstaller } from './effects/install.ts';
import { startNatRepair } from './effects/nat-repair.ts';
import { openReservations } from './effects/reservations.ts';
import { openFormerRanges } from './former-ranges.ts';
import { compileInstallation, diffInstallation, type Installation, type InstallationChange, podCIDRsOf } from './installation.ts';
import { type InstallerInput, type InstallerOptions, installerOptions } from './installer-options.ts';
import { attachmentText, strayLinks, withoutNamespace } from './reconcile.ts';
import { attachmentReports, type CniReport } from './report.ts';

export interface InstallerDeps {
  readonly cluster: ClusterCache;
  /** The executable to install. Default: the one that the build made. */
  readonly executable?: string;
  /** Runs commands in the node's network namespace. Default: in this process's. */
  readonly runner?: CommandRunner;
}

/**
 * Keeps the CNI plugin of one node installed: the executable in `binDir`, and a network configuration made from the pod CIDRs of its Node in
 * `confDir`. At the start it releases the addresses of pods that are gone. Stopping leaves everything in place.
 * @throws RangeError for an option, Error when the executable has not been built
 */
export async function startCniInstaller(
  input: InstallerInput,
  deps: InstallerDeps,
  context: DaemonContext,
): Promise<NodeDaemon<CniReport>> {
  const options = installerOptions(input);
  const installer = openInstaller(options, deps.executable);
  const { paths } = installer;
  const log = context.log.child({ component: 'cni' });
  const store = openReservations(options.stateDir, options.network);
  const runner = deps.runner ?? systemRunner;
  await releaseLeftovers(options, store, runner, log);

  const nodes = deps.cluster.informer(resources.nodes);
  const podCIDRs = (): readonly string[] => podCIDRsOf(nodes.store.get(options.nodeName));
  const former = openFormerRanges({ bridge: options.bridge, host: createNetlink(runner), store });
  async function removeFormer(): Promise<void> {
    try {
      const removed = await former.work();
      if (removed.length > 0) log.info({ addresses: removed.map(linkAddressText) }, 'removed gateway addresses of former pod CIDRs');
    } catch (error) {
      log.warn({ err: error }, 'cannot remove gateway addresses of former pod CIDRs; trying again');
    }
  }
  let problem: string | undefined = 'not installed yet';
  const loop = startSyncLoop<readonly string[], Installation, InstallationChange>({
    name: 'cni',
    log,
    clock: context.clock,
    snapshot: () => (nodes.synced ? podCIDRs() : undefined),
    compile: (cidrs) => compileInstallation(options, cidrs),
    read: () => Promise.resolve(installer.read()),
    diff: diffInstallation,
    apply(change) {
      if ('conflist' in change) former.change(readFileIfThere(paths.conflist), change.conflist);
      installer.apply(change);
      log.info({ change: Object.keys(change), podCIDRs: podCIDRs() }, 'installed');
      return Promise.resolve();
    },
    onTurn({ error }) {
      void removeFormer();
      if (error) problem = error instanceof Error ? error.message : String(error);
      else if (!nodes.synced) problem = 'the Node has not been read yet';
      else problem = podCIDRs().length === 0 ? `Node ${options.nodeName} has no spec.podCIDRs` : undefined;
    },
    minInterval: 100,
    resyncInterval: 30_000,
  });
  const stopListening = nodes.onChange((before, after) => {
    if ((after ?? before)?.metadata.name === options.nodeName) loop.trigger();
  });
  void nodes.whenSynced().then(() => loop.trigger());
  context.health.addReady('cni', () => problem);
  const extras = systemExtrasPorts(runner, readBootId());
  const repair = startNatRepair({
    conflist: () => readFileIfThere(paths.conflist),
    store,
    hostPorts: extras.openHostPorts(options.stateDir),
    nat: extras.nat,
    clock: context.clock,
    log,
  });

  const attachments = cachedReports(store);
  context.metrics.registerMetric(
    new Gauge({
      name: 'podwire_cni_attachments',
      help: 'Pods of this node that hold addresses.',
      registers: [],
      collect() {
        this.set(attachments().length);
      },
    }),
  );
  return {
    report: () => ({
      network: options.network,
      bridge: options.bridge,
      podCIDRs: podCIDRs(),
      conflist: existsSync(paths.conflist) ? paths.conflist : '',
      executable: paths.executable,
      attachments: attachments(),
      problems: problem === undefined ? [] : [problem],
    }),
    async stop() {
      stopListening();
      await repair.stop();
      await loop.stop();
    },
  };
}

/** Releases what pods hold whose runner died before it could DEL them, and says what else does not add up. */
async function releaseLeftovers(options: InstallerOptions, store: ClaimFiles, runner: CommandRunner, log: Logger): Promise<void> {
  const netlink = createNetlink(runner);
  // Ports before reservations: a link is made after its reservation and deleted before it.
  const ports = await netlink.readPorts(options.bridge);
  const { reservations, unexplained } = listReservations(store);
  // Addresses from another IPAM plugin are given back with it, by DEL or GC.
  const own = reservations.filter(({ ipam }) => ipam === undefined);
  const doubtful = withoutNamespace(own, (path) => namespaceIdentity(path)?.inode);
  const { links } = await netlink.read(doubtful.map(({ hostLink }) => hostLink));
  for (const record of doubtful.filter(({ hostLink }) => !links.has(hostLink))) {
    releaseAddresses(store, record);
    log.info(
      { attachment: attachmentText(record), addresses: record.addresses.map(({ text }) => text), netns: record.netns },
      'released the addresses of a pod that is gone',
    );
  }
  const stray = strayLinks(ports, reservations);
  if (stray.length > 0) log.warn({ links: stray, bridge: options.bridge }, 'links without a reservation; left alone');
  if (unexplained.length > 0)
    log.warn({ names: unexplained, stateDir: options.stateDir }, 'files in the state folder that are no reservation; left alone');
}

/** Reads the reservations anew only after they changed. */
function cachedReports(store: ClaimFiles): () => CniReport['attachments'] {
  let version: string | undefined;
  let reports: CniReport['attachments'] = [];
  return () => {
    const now = store.version();
    if (now !== version) {
      reports = attachmentReports(listReservations(store).reservations);
      version = now;
    }
    return reports;
  };
}
