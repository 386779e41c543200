import { type ClusterCidr, type NamedPrefix, planNodeCidrs } from '../../ipam/index.ts';
import { type Prefix, prefixOf, tryParseAddress, tryParsePrefix } from '../../net/index.ts';
import { type Condition, findCondition, fromTime, type Node, resources, toTime } from '../../objects/client.ts';
import type { Action } from '../action.ts';
import { type Controller, nothing, watch } from '../controller.ts';
import { sameMeaning } from '../equal.ts';
import { isDeleting, withCondition } from '../metadata.ts';

export interface NodeCidrRanges {
  readonly clusterCidrs: readonly ClusterCidr[];
  readonly serviceCidrs: readonly Prefix[];
}

/**
 * Gives each node its pod CIDRs, once. All nodes are one key, for one node's blocks depend on every other's. A node that must wait, since a range is
 * used up, has the condition NetworkUnavailable (and with it a taint) until there is a block for it.
 */
export function nodeCidrController({ clusterCidrs, serviceCidrs }: NodeCidrRanges): Controller {
  return {
    name: 'node_ipam',
    component: 'cidrAllocator',
    workers: 1,
    watches: [
      watch(resources.nodes, (before, after) =>
        before &&
        after &&
        sameMeaning(before.spec?.podCIDRs, after.spec?.podCIDRs) &&
        sameMeaning(before.status?.addresses, after.status?.addresses)
          ? []
          : ['nodes'],
      ),
    ],
    reconcile(_key, view) {
      const nodes = view.list(resources.nodes);
      const plan = planNodeCidrs({
        clusterCidrs,
        // Nodes that came after the start may have addresses inside a cluster CIDR.
        excluded: [...serviceCidrs.map((prefix) => ({ name: 'service CIDR', prefix })), ...nodeAddressRanges(nodes)],
        nodes: nodes.map((node) => ({
          name: node.metadata.name,
          podCIDRs: podCidrsOf(node),
          createdAt: fromTime(node.metadata.creationTimestamp),
        })),
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
      // Before anything that can fail. Told again they are counted as one.
      const warnings = [
        ...plan.exhausted.map(({ node, clusterCidrs: full }) =>
          warn(node, notAvailable, `Node ${node} status is now: ${notAvailable}: ${exhaustedText(full)}`),
        ),
        ...plan.conflicts.map(({ node, problem }) => warn(node, 'CIDRConflict', `Node ${node}: ${problem}`)),
      ];
      const waiting = new Map(plan.exhausted.map(({ node, clusterCidrs: full }) => [node, exhaustedText(full)]));
      const conditions = nodes.flatMap((node) => conditionOf(node, waiting.get(node.metadata.name), view.now));
      const writes = [assign, conditions].filter((actions) => actions.length > 0).map((actions): Action => ({ do: 'together', actions }));
      return writes.length + warnings.length === 0 ? nothing : { actions: [...warnings, ...writes] };
    },
  };
}

/** Reason of the Event and of the condition, as kube-controller-manager names it. */
const notAvailable = 'CIDRNotAvailable';

const exhaustedText = (full: readonly Prefix[]): string => `${full.map(({ text }) => text).join(', ')} has no block left`;

/** Sets the condition NetworkUnavailable of a node that waits, and takes back what was set when it waits no more. That of others stays. */
function conditionOf(node: Node, problem: string | undefined, now: number): Action[] {
  const before = findCondition(node.status?.conditions, 'NetworkUnavailable');
  const isOurs = before?.reason === notAvailable;
  if (isDeleting(node)) return [];
  if (problem !== undefined) {
    if (before?.status === 'True' && (!isOurs || before.message === problem)) return [];
    return [writeCondition(node, { type: 'NetworkUnavailable', status: 'True', reason: notAvailable, message: problem }, now)];
  }
  if (!isOurs || podCidrsOf(node).length === 0) return [];
  const message = 'The node has pod CIDRs';
  return [writeCondition(node, { type: 'NetworkUnavailable', status: 'False', reason: 'CIDRAssigned', message }, now)];
}

/** By revision: the node may be reporting just now. */
const writeCondition = (node: Node, condition: Condition, now: number): Action => ({
  do: 'patch',
  resource: resources.nodes,
  object: node,
  subresource: 'status',
  patch: {
    metadata: { resourceVersion: node.metadata.resourceVersion },
    status: { conditions: withCondition(node.status?.conditions, { ...condition, lastHeartbeatTime: toTime(now) }, now) },
  },
});

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
