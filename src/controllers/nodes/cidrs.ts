import { type ClusterCidr, type NamedPrefix, planNodeCidrs } from '../../ipam/index.ts';
import { type Prefix, prefixOf, tryParseAddress, tryParsePrefix } from '../../net/index.ts';
import { type Node, resources } from '../../objects/client.ts';
import type { Action } from '../action.ts';
import { type Controller, nothing, watch } from '../controller.ts';
import { sameMeaning } from '../equal.ts';
import { isDeleting } from '../metadata.ts';

export interface NodeCidrRanges {
  readonly clusterCidrs: readonly ClusterCidr[];
  readonly serviceCidrs: readonly Prefix[];
}

/** Gives each node its pod CIDRs, once. All nodes are one key, for one node's blocks depend on every other's. */
export function nodeCidrController({ clusterCidrs, serviceCidrs }: NodeCidrRanges): Controller {
  return {
    name: 'node_ipam',
    component: 'cidrAllocator',
    workers: 1,
    watches: [
      watch(resources.nodes, (before, after) =>
        before && after && sameMeaning(before.spec?.podCIDRs, after.spec?.podCIDRs) ? [] : ['nodes'],
      ),
    ],
    reconcile(_key, view, failure) {
      const nodes = view.list(resources.nodes);
      const plan = planNodeCidrs({
        clusterCidrs,
        excluded: serviceCidrs,
        nodes: nodes.map((node) => ({ name: node.metadata.name, podCIDRs: podCidrsOf(node) })),
      });
      const byName = new Map(nodes.map((node) => [node.metadata.name, node]));
      const assign = [...plan.assignments].flatMap(([name, prefixes]) => {
        const node = byName.get(name)!;
        return isDeleting(node) ? [] : [assignment(node, prefixes)];
      });
      const warn = (name: string, reason: string, message: string): Action => ({
        do: 'event',
        event: { regarding: byName.get(name)!, type: 'Warning', reason, message },
      });
      // A repeat after a failed write has told its warnings already.
      const warnings = failure
        ? []
        : [
            ...plan.exhausted.map(({ node, clusterCidr }) =>
              warn(node, 'CIDRNotAvailable', `Node ${node} status is now: CIDRNotAvailable: ${clusterCidr.text} has no block left`),
            ),
            ...plan.conflicts.map(({ node, problem }) => warn(node, 'CIDRConflict', `Node ${node}: ${problem}`)),
          ];
      return assign.length + warnings.length === 0 ? nothing : { actions: [{ do: 'together', actions: assign }, ...warnings] };
    },
  };
}

const podCidrsOf = ({ spec }: Node): readonly string[] => spec?.podCIDRs ?? (spec?.podCIDR ? [spec.podCIDR] : []);

/** Both fields in one write, guarded by the revision: a node's CIDRs never change once they are set. */
function assignment(node: Node, prefixes: readonly Prefix[]): Action {
  const podCIDRs = prefixes.map(({ text }) => text);
  const { uid, resourceVersion } = node.metadata;
  return {
    do: 'patch',
    resource: resources.nodes,
    object: node,
    patch: { metadata: { uid, resourceVersion }, spec: { podCIDR: podCIDRs[0], podCIDRs } },
  };
}

/** The ranges that nodes use already, named for error messages: their own addresses, which no cluster or service CIDR may hold. */
export const nodeAddressRanges = (nodes: readonly Node[]): NamedPrefix[] =>
  nodes.flatMap(({ metadata, status }) =>
    (status?.addresses ?? []).flatMap(({ type, address: text }) => {
      const address = type === 'InternalIP' ? tryParseAddress(text) : undefined;
      return address ? [{ name: `address of node ${metadata.name}`, prefix: prefixOf(address, address.family === 4 ? 32 : 128) }] : [];
    }),
  );

/** The pod CIDRs that nodes have already, named for error messages. */
export const nodeCidrRanges = (nodes: readonly Node[]): NamedPrefix[] =>
  nodes.flatMap((node) =>
    podCidrsOf(node).flatMap((text) => {
      const prefix = tryParsePrefix(text);
      return prefix ? [{ name: `pod CIDR of node ${node.metadata.name}`, prefix }] : [];
    }),
  );
