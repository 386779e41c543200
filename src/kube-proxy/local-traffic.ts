import type { IptablesMatch } from '../dataplane/iptables.ts';
import type { Family } from '../net/index.ts';
import type { NodeFacts } from './input.ts';
import { type ProxyOptions, prefixesOf } from './options.ts';

/** How traffic of pods is told from traffic of outsiders, in one family; undefined when it cannot be told, and then nothing is masqueraded for it. */
export type LocalTraffic =
  | { readonly by: 'source'; readonly prefix: string }
  | { readonly by: 'interface'; readonly interface: string }
  | undefined;

/** From --detect-local-mode and what belongs to it. */
export function localTraffic(options: ProxyOptions, node: NodeFacts, family: Family): LocalTraffic {
  switch (options.detectLocalMode) {
    case 'ClusterCIDR': {
      const [prefix] = prefixesOf(options.clusterCIDRs, family);
      return prefix && { by: 'source', prefix: prefix.text };
    }
    case 'NodeCIDR':
      return node.podCIDR && { by: 'source', prefix: node.podCIDR.text };
    case 'BridgeInterface':
      return { by: 'interface', interface: options.podBridgeInterface };
    case 'InterfaceNamePrefix':
      return { by: 'interface', interface: `${options.podInterfaceNamePrefix}+` };
  }
}

/** The match for it; with `not`, for everything else. */
export function localMatch(local: NonNullable<LocalTraffic>, not: boolean): IptablesMatch {
  const negation = not ? { not } : {};
  return local.by === 'source'
    ? { match: 'source', prefix: local.prefix, ...negation }
    : { match: 'in', interface: local.interface, ...negation };
}
