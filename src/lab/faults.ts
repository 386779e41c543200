import { type CommandRunner, inNetworkNamespace } from '../kernel/command-runner.ts';
import { ipBatch } from '../kernel/ip.ts';
import { networkNamespacePath } from '../kernel/netns.ts';
import type { LabLayout } from './layout.ts';
import { portName } from './network.ts';
import type { Topology } from './topology.ts';

/** Takes the switch's port of a node down or up: the node loses its carrier, as with a pulled cable, and keeps its own configuration. */
export async function setUnderlayLink(
  topology: Topology,
  layout: LabLayout,
  node: string,
  state: 'up' | 'down',
  runner: CommandRunner,
): Promise<void> {
  const index = topology.nodes.findIndex(({ name }) => name === node);
  await ipBatch(inNetworkNamespace(runner, networkNamespacePath(layout.switchNamespace)), [`link set ${portName(node, index)} ${state}`]);
}
