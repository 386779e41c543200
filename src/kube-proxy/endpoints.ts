import { type Family, joinHostPort, type Protocol, tryParseAddress } from '../net/index.ts';
import type { EndpointSlice } from '../objects/client.ts';
import type { NodeFacts } from './input.ts';
import type { EndpointModel, EndpointReason, ProxyProblem } from './model.ts';

/** An endpoint before it is decided whether it is used. */
export type Candidate = Omit<EndpointModel, 'underCluster' | 'underLocal'>;

/**
 * The endpoints of one service port out of its slices, ordered by address and port. An endpoint that stands in two slices (which happens
 * while the controller moves it) counts once, with the better of its conditions, whatever the order of the slices.
 */
export function readEndpoints(
  slices: readonly EndpointSlice[],
  portName: string,
  protocol: Protocol,
  family: Family,
  node: NodeFacts,
  problems: ProxyProblem[],
): Candidate[] {
  const found = new Map<string, { candidate: Candidate; order: bigint }>();
  for (const slice of slices) {
    for (const port of slice.ports ?? []) {
      if ((port.name ?? '') !== portName || (port.protocol ?? 'TCP') !== protocol || !port.port) continue;
      for (const [index, endpoint] of (slice.endpoints ?? []).entries()) {
        // All addresses of an endpoint are the same pod (KEP-752): the first is used, as kube-proxy does.
        const address = tryParseAddress(endpoint.addresses[0] ?? '');
        if (address?.family !== family) {
          problems.push({
            object: `EndpointSlice ${slice.metadata.namespace}/${slice.metadata.name}`,
            field: `endpoints[${index}].addresses[0]`,
            reason: `${JSON.stringify(endpoint.addresses[0])} is not an IPv${family} address`,
          });
          continue;
        }
        const ready = endpoint.conditions?.ready ?? true;
        const candidate = {
          address: address.text,
          port: port.port,
          text: joinHostPort(address.text, port.port),
          nodeName: endpoint.nodeName,
          ready,
          serving: endpoint.conditions?.serving ?? ready,
          terminating: endpoint.conditions?.terminating ?? false,
          local: endpoint.nodeName === node.name,
          hintedZones: endpoint.hints?.forZones?.map(({ name }) => name) ?? [],
          hintedNodes: endpoint.hints?.forNodes?.map(({ name }) => name) ?? [],
        };
        const other = found.get(candidate.text);
        if (!other || fitness(candidate) > fitness(other.candidate))
          found.set(candidate.text, { candidate, order: (address.value << 16n) | BigInt(port.port) });
      }
    }
  }
  return [...found.values()].sort((a, b) => (a.order < b.order ? -1 : 1)).map(({ candidate }) => candidate);
}

const fitness = (candidate: Candidate): number => (candidate.ready ? 4 : 0) + (candidate.serving ? 2 : 0) + (candidate.terminating ? 0 : 1);

const usable = (candidate: Candidate): boolean => candidate.ready || (candidate.serving && candidate.terminating);

/**
 * Decides over every endpoint for both policies: ready ones, or when there are none those that terminate but still serve
 * (KEP-1669, separately for each policy); under Cluster also the topology hints (KEP-2433, KEP-3015), which hold only when every ready endpoint has them.
 */
export function decideEndpoints(
  candidates: readonly Candidate[],
  node: NodeFacts,
  uses: { cluster: boolean; local: boolean },
): { endpoints: EndpointModel[]; hasEndpoints: boolean } {
  const anyReady = candidates.some(({ ready }) => ready);
  const anyLocalReady = candidates.some(({ ready, local }) => ready && local);
  const topology = topologyOf(candidates, node);
  const endpoints = candidates.map((candidate): EndpointModel => {
    const underCluster = uses.cluster ? topology(candidate, byCondition(candidate, anyReady)) : 'policy-unused';
    const underLocal = !uses.local ? 'policy-unused' : candidate.local ? byCondition(candidate, anyLocalReady) : 'other-node';
    return { ...candidate, underCluster, underLocal };
  });
  return { endpoints, hasEndpoints: candidates.some(usable) };
}

function byCondition(candidate: Candidate, anyReady: boolean): EndpointReason {
  if (candidate.ready) return 'used-ready';
  if (!candidate.terminating) return 'not-ready';
  if (!candidate.serving) return 'not-serving';
  return anyReady ? 'not-needed' : 'used-terminating';
}

function topologyOf(candidates: readonly Candidate[], node: NodeFacts): (candidate: Candidate, reason: EndpointReason) => EndpointReason {
  const ready = candidates.filter((candidate) => candidate.ready);
  const holds = (hints: (candidate: Candidate) => readonly string[], name: string | undefined): boolean =>
    name !== undefined &&
    ready.length > 0 &&
    ready.every((each) => hints(each).length > 0) &&
    ready.some((each) => hints(each).includes(name));
  if (holds(({ hintedNodes }) => hintedNodes, node.name)) {
    return ({ hintedNodes }, reason) =>
      reason !== 'used-ready' ? reason : hintedNodes.includes(node.name) ? 'used-hinted-node' : 'other-node-hint';
  }
  const { zone } = node;
  if (zone !== undefined && holds(({ hintedZones }) => hintedZones, zone)) {
    return ({ hintedZones }, reason) => (reason !== 'used-ready' ? reason : hintedZones.includes(zone) ? 'used-hinted-zone' : 'other-zone');
  }
  return (_, reason) => reason;
}
