import { joinHostPort } from '../net/index.ts';
import type { Outcome, WalkStep } from '../packet-walk/index.ts';
import { type EndpointReason, endpointReasons, isUsed } from './model.ts';
import type { TrafficDecision, Flow } from './resolve-traffic.ts';

/** What becomes of a flow: what the Services say, what the rules of a kernel do, and whether the two agree. */
export interface Explanation {
  readonly flow: Flow;
  readonly outcome: TrafficDecision['outcome'];
  /** `namespace/name:port`, and the kind of address the flow goes to. */
  readonly service?: string;
  readonly by?: string;
  readonly policy?: string;
  readonly affinitySeconds?: number;
  /** Every endpoint of the service port, used for this flow or not, and why. */
  readonly endpoints: readonly {
    readonly endpoint: string;
    readonly node: string;
    /** 0 to 1; 0 when it is not used. */
    readonly odds: number;
    readonly reason: string;
    readonly masquerade: boolean;
  }[];
  readonly masquerade?: string;
  /** Each way through the rules. */
  readonly ways: readonly Way[];
  readonly agrees: boolean;
}

export interface Way {
  readonly odds: number;
  readonly verdict: string;
  readonly to: string;
  readonly masquerade: boolean;
  readonly path: readonly WalkStep[];
}

/** Puts the model's decision beside the ways through the rules. Pure. */
export function explainFlow(flow: Flow, decision: TrafficDecision, outcomes: readonly Outcome[]): Explanation {
  const { service, by, policy, backends, outcome, masqueradeBecause } = decision;
  const odds = new Map(backends.map((backend) => [backend.text, backend]));
  const ways = outcomes.map(({ probability, result }): Way => {
    const { verdict, to, masquerade, path } = result;
    return { odds: probability, verdict, to, masquerade, path };
  });
  return {
    flow,
    outcome,
    ...(service && policy ? { service: service.name, policy } : {}),
    ...(by ? { by } : {}),
    ...(service?.affinitySeconds === undefined ? {} : { affinitySeconds: service.affinitySeconds }),
    endpoints: (service?.endpoints ?? []).map(({ text, nodeName, underCluster, underLocal }) => {
      const reason: EndpointReason = policy === 'Local' ? underLocal : underCluster;
      const used = odds.get(text);
      return {
        endpoint: text,
        node: nodeName ?? '',
        odds: used ? 1 / backends.length : 0,
        reason: endpointReasons[reason] + (used || !isUsed(reason) ? '' : '; the flow is let through to none'),
        masquerade: used?.masquerade ?? false,
      };
    }),
    ...(masqueradeBecause === undefined ? {} : { masquerade: masqueradeBecause }),
    ways,
    agrees: JSON.stringify(ofDecision(decision)) === JSON.stringify(ofWays(ways)),
  };
}

const verdicts: Readonly<Record<TrafficDecision['outcome'], string>> = {
  balanced: 'dnat',
  rejected: 'reject',
  dropped: 'drop',
  untouched: 'accept',
};

/** What an observer of the packets would see, whichever way it came about. */
function ofDecision({ outcome, backends }: TrafficDecision): unknown {
  const seen = backends.map(({ text, masquerade }) => `${text} ${masquerade} ${(1 / backends.length).toFixed(4)}`).sort();
  return [verdicts[outcome], outcome === 'balanced' ? seen : []];
}

function ofWays(ways: readonly Way[]): unknown {
  const kinds = [...new Set(ways.map(({ verdict }) => verdict))].sort();
  const seen = ways.flatMap(({ verdict, to, masquerade, odds }) => (verdict === 'dnat' ? [`${to} ${masquerade} ${odds.toFixed(4)}`] : []));
  return [kinds.join(), seen.sort()];
}

const percent = (odds: number): string => `${Number((odds * 100).toFixed(1))}%`;

/** The explanation for a person: the decision, the endpoints, then hook by hook what the packet meets. Lines without an end. */
export function explanationLines(explained: Explanation): string[] {
  const { flow, outcome, service, by, policy, affinitySeconds, endpoints, masquerade, ways, agrees } = explained;
  const lines = [`${flow.from} -> ${joinHostPort(flow.to, flow.port)} ${flow.protocol}: ${outcome}`];
  if (service) lines.push(`  ${by} of ${service}, traffic policy ${policy}`);
  if (affinitySeconds !== undefined)
    lines.push(`  session affinity: a client keeps its endpoint for ${affinitySeconds} s after its last connection`);
  if (outcome === 'balanced') lines.push(`  source ${masquerade === undefined ? 'kept' : `masqueraded: ${masquerade}`}`);
  if (endpoints.length > 0) lines.push('', 'endpoints');
  for (const { endpoint, node, odds, reason, masquerade: masqueraded } of endpoints) {
    const hairpin = masqueraded && masquerade === undefined ? ', masqueraded: it is the sender itself' : '';
    lines.push(`  ${odds > 0 ? percent(odds).padStart(6) : '     -'}  ${endpoint.padEnd(22)} ${node.padEnd(12)} ${reason}${hairpin}`);
  }
  for (const way of ways) {
    lines.push('', `way through the rules, ${percent(way.odds)}: ${way.verdict} ${way.to}${way.masquerade ? ', masqueraded' : ''}`);
    for (const { table, hook, chain, rule, text } of way.path)
      lines.push(`  ${hook.toLowerCase().padEnd(11)} ${table} ${chain}${rule === undefined ? '' : ` #${rule + 1}`}: ${text}`);
  }
  lines.push('', agrees ? 'The rules do what the Services say.' : 'THE RULES DO NOT DO WHAT THE SERVICES SAY.');
  return lines;
}
