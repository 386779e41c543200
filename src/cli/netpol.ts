import { hostname } from 'node:os';
import type { Command } from 'commander';
import { systemRunner } from '../kernel/command-runner.ts';
import { startNetworkPolicies } from '../netpol/daemon.ts';
import { daemonCommand, withCluster } from './daemon-command.ts';

interface NetpolFlags {
  readonly kubeconfig: string;
  readonly nodeName: string;
  readonly table: string;
}

/** `podwire netpol`: enforces NetworkPolicies for the pods of one node. */
export const command = (): Command =>
  daemonCommand<NetpolFlags>('netpol', 'enforce network policies with nftables', 10_262, configure, (flags, context) =>
    withCluster(flags, context, 'podwire-netpol', ({ cluster }) =>
      startNetworkPolicies({ nodeName: flags.nodeName, table: flags.table }, { cluster, runner: systemRunner }, context),
    ),
  );

function configure(command: Command): void {
  command
    .requiredOption('--kubeconfig <file>', 'how to reach the API server')
    .option('--node-name <name>', 'the node whose pods are protected, as in spec.nodeName', hostname())
    .option('--table <name>', 'nftables table (family inet) to write; nothing else may use it', 'podwire-netpol');
}
