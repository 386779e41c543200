import type { Variant } from '../../kube-proxy/scenario-objects.ts';

/** The modes that the machine's own kernel has. IPVS, which it may lack, runs in user-mode Linux. */
export const modes: readonly (readonly [name: string, Variant])[] = [
  ['iptables-legacy', { mode: 'iptables', iptables: 'legacy' }],
  ['iptables-nft', { mode: 'iptables', iptables: 'nft' }],
  ['nftables compat', { mode: 'nftables', nftablesLayout: 'compat' }],
  ['nftables fast', { mode: 'nftables', nftablesLayout: 'fast' }],
];
