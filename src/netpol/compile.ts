import { isPort, tryParsePrefix } from '../net/index.ts';
import {
  type LabelSelector,
  matchesLabelSelector,
  type NetworkPolicy,
  type NetworkPolicyPeer,
  type NetworkPolicyPort,
} from '../objects/client.ts';
import { namespaceLabels, type NetpolInput, podEndpoints, type PodEndpoint } from './input.ts';
import type { CompiledPolicy, IsolatedPod, NetpolModel, Peer, PolicyRule, PortMatch } from './model.ts';
import { rangeOf, subtract } from './ranges.ts';

/** Finds pods by selectors, each pair of selectors once. */
interface Selection {
  /** Pods of one namespace. */
  inNamespace(namespace: string, selector: LabelSelector): readonly PodEndpoint[];
  peer(namespace: string, peer: NetworkPolicyPeer): Peer | undefined;
}

/**
 * What this node has to enforce (networking.k8s.io/v1 NetworkPolicy). A pure function of the input; the order of objects does not matter.
 * What cannot be understood in a policy allows nothing; its pods are isolated all the same.
 */
export function compileNetpol(input: NetpolInput): NetpolModel {
  const endpoints = podEndpoints(input);
  const selection = createSelection(endpoints, namespaceLabels(input.namespaces));
  const policies: CompiledPolicy[] = [];
  for (const policy of [...input.policies].sort((a, b) => (idOf(a) < idOf(b) ? -1 : 1))) {
    const namespace = policy.metadata.namespace ?? '';
    const selected = selection.inNamespace(namespace, policy.spec?.podSelector ?? {}).filter(({ isLocal }) => isLocal);
    if (selected.length === 0) continue;
    const types = policyTypes(policy);
    const rule = (peers: readonly NetworkPolicyPeer[] | undefined, ports: readonly NetworkPolicyPort[] | undefined): PolicyRule => ({
      peers: peers?.length ? peers.flatMap((peer) => selection.peer(namespace, peer) ?? []) : 'any',
      ports: ports?.length ? ports.flatMap((port) => portMatch(port) ?? []) : 'any',
    });
    policies.push({
      id: idOf(policy),
      ingress: types.has('Ingress') ? (policy.spec?.ingress ?? []).map(({ from, ports }) => rule(from, ports)) : undefined,
      egress: types.has('Egress') ? (policy.spec?.egress ?? []).map(({ to, ports }) => rule(to, ports)) : undefined,
      selects: selected.map(({ id }) => id),
    });
  }
  return { pods: isolatedPods(endpoints, policies), policies, endpoints };
}

const idOf = ({ metadata }: NetworkPolicy): string => `${metadata.namespace}/${metadata.name}`;

/** Unset means ingress, and egress too when there are egress rules. */
function policyTypes({ spec }: NetworkPolicy): ReadonlySet<'Ingress' | 'Egress'> {
  if (spec?.policyTypes?.length) return new Set(spec.policyTypes);
  return new Set(spec?.egress?.length ? ['Ingress', 'Egress'] : ['Ingress']);
}

function isolatedPods(endpoints: readonly PodEndpoint[], policies: readonly CompiledPolicy[]): IsolatedPod[] {
  const byPod = new Map<string, { ingress?: string[]; egress?: string[] }>();
  for (const policy of policies) {
    for (const id of policy.selects) {
      const entry = byPod.get(id) ?? {};
      byPod.set(id, entry);
      if (policy.ingress) (entry.ingress ??= []).push(policy.id);
      if (policy.egress) (entry.egress ??= []).push(policy.id);
    }
  }
  return endpoints.flatMap(({ id, addresses, isLocal }) => {
    const entry = isLocal ? byPod.get(id) : undefined;
    return entry ? [{ id, addresses, ingress: entry.ingress, egress: entry.egress }] : [];
  });
}

function createSelection(endpoints: readonly PodEndpoint[], labelsOf: (namespace: string) => Readonly<Record<string, string>>): Selection {
  const byNamespace = Map.groupBy(endpoints, ({ namespace }) => namespace);
  const known = new Map<string, readonly PodEndpoint[]>();
  const once = (key: string, find: () => readonly PodEndpoint[]): readonly PodEndpoint[] => {
    const pods = known.get(key) ?? find();
    known.set(key, pods);
    return pods;
  };
  const inNamespace: Selection['inNamespace'] = (namespace, selector) =>
    once(`${namespace} ${selectorKey(selector)}`, () =>
      (byNamespace.get(namespace) ?? []).filter(({ labels }) => matchesLabelSelector(selector, labels)),
    );
  const inNamespaces = (namespaceSelector: LabelSelector, selector: LabelSelector): readonly PodEndpoint[] =>
    [...byNamespace.keys()]
      .filter((namespace) => matchesLabelSelector(namespaceSelector, labelsOf(namespace)))
      .flatMap((namespace) => inNamespace(namespace, selector));
  return {
    inNamespace,
    peer(namespace, { podSelector, namespaceSelector, ipBlock }) {
      if (ipBlock) return podSelector || namespaceSelector ? undefined : blockPeer(ipBlock);
      if (namespaceSelector) {
        const selector = podSelector ?? {};
        const key = `all ${selectorKey(namespaceSelector)} ${selectorKey(selector)}`;
        return { kind: 'pods', key, pods: once(key, () => inNamespaces(namespaceSelector, selector)) };
      }
      if (!podSelector) return undefined;
      return { kind: 'pods', key: `in ${namespace} ${selectorKey(podSelector)}`, pods: inNamespace(namespace, podSelector) };
    },
  };
}

/** Equal selectors in any spelling have one key. */
function selectorKey({ matchLabels = {}, matchExpressions = [] }: LabelSelector): string {
  const pairs = Object.entries(matchLabels).map(([key, value]) => [key, value]);
  const expressions = matchExpressions.map(({ key, operator, values = [] }) => [key, operator, ...[...values].sort()]);
  return JSON.stringify([...pairs.sort(compareText), ...expressions.sort(compareText)]);
}

const compareText = (a: readonly string[], b: readonly string[]): number => (a.join('\0') < b.join('\0') ? -1 : 1);

function blockPeer({ cidr, except = [] }: NonNullable<NetworkPolicyPeer['ipBlock']>): Peer | undefined {
  const block = tryParsePrefix(cidr);
  const exceptions = except.map((text) => tryParsePrefix(text));
  // An exception that cannot be read might be anything: allow nothing of the block.
  if (!block || exceptions.includes(undefined)) return undefined;
  const own = exceptions.flatMap((exception) => (exception?.family === block.family ? [exception] : []));
  const key = [block.text, ...own.map(({ text }) => text).sort()].join(' ');
  return { kind: 'block', key, family: block.family, ranges: subtract(rangeOf(block), own.map(rangeOf)) };
}

function portMatch({ protocol = 'TCP', port, endPort }: NetworkPolicyPort): PortMatch | undefined {
  if (port === undefined) return endPort === undefined ? { kind: 'protocol', protocol } : undefined;
  if (typeof port === 'string') return endPort === undefined ? { kind: 'name', protocol, name: port } : undefined;
  const last = endPort ?? port;
  return isPort(port) && isPort(last) && last >= port ? { kind: 'numbers', protocol, first: port, last } : undefined;
}
