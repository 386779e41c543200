import type { NftRule } from '../../../dataplane/nft.ts';
import { addressSelector, type NftSelector } from '../../../dataplane/nft.ts';
import type { Backend, ServicePortModel } from '../../model.ts';
import { fromNode, goto, localTrafficMatch, lower, type NftRenderContext, type PartBuilder, rule, type SharedSet } from './parts.ts';
import { type Balancing, balanceByChains, externalBackends, internalBackends, internalRules } from './service.ts';

/**
 * Balances by data alone: a service with n endpoints leads to the chain that all services with n endpoints share, and that chain looks the endpoint up by
 * address, port and a random number below n. Adding a service adds elements and hardly ever a chain, which is what makes nftables slow.
 * Services with affinity have chains of their own, for nftables 1.0.6 cannot remember an endpoint in a map.
 */
export function balanceByMaps(port: ServicePortModel, context: NftRenderContext, part: PartBuilder): Balancing {
  if (port.affinitySeconds !== undefined) return balanceByChains(port, context, part);
  const protocol = lower(port.protocol);
  const { family } = context;
  const dport: NftSelector = `${protocol} dport`;
  const byAddress: readonly NftSelector[] = [addressSelector(family, 'daddr'), dport];

  const fill = (set: SharedSet, key: string, backends: readonly Backend[]): void => {
    for (const [slot, { address, port: to }] of backends.entries()) part.element(set, `${key} . ${slot}`, `${address} . ${to}`);
  };
  const lookUp = (of: readonly NftSelector[], map: SharedSet, count: number): NftRule =>
    rule([], { verdict: 'dnat', family, to: { of: [...of, `numgen random mod ${count}`], map } });

  const inside = internalBackends(port);
  if (inside.length > 0) fill(`backends-${protocol}`, `${port.clusterIP} . ${port.port}`, inside);
  const internal =
    inside.length > 0
      ? part.shared(`cluster-${protocol}-${inside.length}`, () => [
          ...internalRules(context),
          lookUp(byAddress, `backends-${protocol}`, inside.length),
        ])
      : '';
  for (const { address, local } of port.endpoints) if (local) part.element('hairpin', `${address} . ${address}`);

  const all = port.clusterBackends;
  const near = port.externalPolicy === 'Local' ? port.localBackends : [];
  const external = (kind: 'backends' | 'nodeport-backends', keys: readonly string[], of: readonly NftSelector[]): string => {
    if (keys.length === 0) return '';
    const prefix = kind === 'backends' ? 'external' : 'nodeport';
    for (const key of keys) {
      fill(`${kind}-${protocol}`, key, all);
      fill(`local-${kind}-${protocol}`, key, near);
    }
    const masquerade = { do: 'set-mark-bits', bits: context.mark } as const;
    const toAll = (): NftRule => lookUp(of, `${kind}-${protocol}`, all.length);
    if (port.externalPolicy === 'Cluster') {
      return part.shared(`${prefix}-${protocol}-${all.length}`, () => [rule([], undefined, [masquerade]), toAll()]);
    }
    const insiders = all.length > 0 ? part.shared(`${prefix}-all-${protocol}-${all.length}`, () => [toAll()]) : undefined;
    return part.shared(`${prefix}-local-${protocol}-${all.length}-${near.length}`, () => {
      const rules: NftRule[] = [];
      if (insiders !== undefined) {
        if (context.local) rules.push(rule([localTrafficMatch(family, context.local, false)], goto(insiders)));
        rules.push(rule([fromNode], goto(insiders), [masquerade]));
      }
      if (near.length > 0) rules.push(lookUp(of, `local-${kind}-${protocol}`, near.length));
      return rules;
    });
  };
  const addresses = externalBackends(port).length > 0 || all.length > 0 ? [...port.externalIPs, ...port.loadBalancerIPs] : [];
  return {
    internal,
    external: external(
      'backends',
      addresses.map((address) => `${address} . ${port.port}`),
      byAddress,
    ),
    nodePort: external('nodeport-backends', port.nodePort === undefined ? [] : [`${port.nodePort}`], [dport]),
  };
}
