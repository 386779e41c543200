import { familyOf, InvalidRangeError, parseRangeSets } from '../../ipam/index.ts';
import { latestVersion } from '../versions.ts';

/** What the configuration of a node's network is made from. */
export interface ConflistOptions {
  readonly network: string;
  readonly bridge: string;
  readonly mtu: number;
  /** Where reservations are kept. */
  readonly stateDir: string;
  /** The pod CIDRs of the node, one per family. */
  readonly podCIDRs: readonly string[];
  /** Version of the CNI spec to declare. Default: the latest. */
  readonly cniVersion?: string;
}

/** File name of the plugin's executable, and so the `type` in a configuration. */
export const pluginType = 'podwire-cni';

/**
 * The network configuration list of a node, as text. The gateway of each family is the first address of its pod CIDR.
 * @throws RangeError naming the pod CIDR and what is wrong with it
 */
export function renderConflist({ network, bridge, mtu, stateDir, podCIDRs, cniVersion = latestVersion }: ConflistOptions): string {
  const ranges = podCIDRs.map((subnet) => [{ subnet }]);
  try {
    const families = parseRangeSets(ranges).map(familyOf);
    if (new Set(families).size < families.length) throw new RangeError(`podCIDRs ${podCIDRs.join(', ')}: two of the same family`);
  } catch (error) {
    if (error instanceof InvalidRangeError) throw new RangeError(`podCIDRs ${podCIDRs.join(', ')}: ${error.message}`, { cause: error });
    throw error;
  }
  const plugin = {
    type: pluginType,
    bridge,
    mtu,
    isGateway: true,
    isDefaultGateway: true,
    // A pod may reach itself through the service it is a backend of.
    hairpinMode: true,
    ipam: { type: 'podwire-ipam', dataDir: stateDir, ranges },
    // Not ipRanges: the ranges are the Node's.
    capabilities: { portMappings: true, bandwidth: true, ips: true, mac: true, dns: true },
  };
  return `${JSON.stringify({ cniVersion, name: network, plugins: [plugin] }, null, 2)}\n`;
}
