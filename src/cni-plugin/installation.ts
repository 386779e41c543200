import type { Node } from '../objects/client.ts';
import type { InstallerOptions } from './installer-options.ts';
import { renderConflist } from './render/conflist.ts';

/** What a node's folders hold, or are to hold. */
export interface Installation {
  /** Text of the network configuration; undefined when there is to be none. */
  readonly conflist: string | undefined;
  /** The plugin's executable is there and current. */
  readonly executable: boolean;
}

export type InstallationChange = Partial<{ readonly conflist: string | undefined; readonly executable: true }>;

/** Pod CIDRs of a node, IPv4 and IPv6 in the order the Node names them. */
export const podCIDRsOf = (node: Node | undefined): readonly string[] =>
  node?.spec?.podCIDRs ?? (node?.spec?.podCIDR ? [node.spec.podCIDR] : []);

/**
 * The installation for a node with these pod CIDRs; without any there is no configuration, and the runtime waits.
 * @throws RangeError naming the pod CIDR and what is wrong with it
 */
export function compileInstallation(options: InstallerOptions, podCIDRs: readonly string[]): Installation {
  const { network, bridge, mtu, stateDir, cniVersion } = options;
  return {
    conflist: podCIDRs.length === 0 ? undefined : renderConflist({ network, bridge, mtu, stateDir, podCIDRs, cniVersion }),
    executable: true,
  };
}

/** Undefined when nothing is to be done. */
export function diffInstallation(actual: Installation, desired: Installation): InstallationChange | undefined {
  const change: InstallationChange = {
    ...(desired.executable && !actual.executable ? { executable: true } : {}),
    ...(desired.conflist === actual.conflist ? {} : { conflist: desired.conflist }),
  };
  return Object.keys(change).length === 0 ? undefined : change;
}
