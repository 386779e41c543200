import type { Command } from 'commander';
import { systemRunner } from '../kernel/command-runner.ts';
import { cleanupProxy, startProxy } from '../kube-proxy/daemon.ts';
import { createLogger } from '../runtime/log.ts';
import { type CommonOptions, daemonCommand, withCluster } from './daemon-command.ts';
import { booleanOption } from './flags.ts';
import { configureProxy, optionsOf, type ProxyFlags } from './proxy-flags.ts';
import { lookCommands } from './proxy-look-commands.ts';

interface DaemonFlags extends ProxyFlags {
  readonly cleanup: boolean;
}

/** `podwire proxy`: kube-proxy's part of one node, with its flags. */
export const command = (): Command =>
  daemonCommand<DaemonFlags>('proxy', 'make Services reachable from this node (kube-proxy)', 10_256, configure, async (flags, context) => {
    const options = optionsOf(flags);
    const { kubeconfig } = flags;
    if (kubeconfig === undefined) throw new Error('--kubeconfig is needed (only --cleanup goes without)');
    return withCluster({ kubeconfig }, context, 'podwire-proxy', ({ cluster }) =>
      startProxy(options, { cluster, runner: systemRunner }, context),
    );
  });

function configure(command: Command): void {
  configureProxy(command);
  // The flags of these are their own, though they have the same names.
  command.enablePositionalOptions();
  for (const look of lookCommands()) command.addCommand(look);
  command
    .addOption(booleanOption('--cleanup', 'remove all chains and rules of the proxy, and end', false))
    .hook('preAction', async (self) => {
      const flags = self.opts<DaemonFlags & CommonOptions>();
      if (!flags.cleanup) return;
      const log = createLogger({ name: 'podwire-proxy', level: flags.logLevel });
      const removed = await cleanupProxy(optionsOf(flags), systemRunner, log);
      process.stdout.write(`removed ${removed} chains of the service proxy\n`);
      process.exit(0);
    });
}
