import type { IptablesTableName } from '../../dataplane/iptables.ts';

/** kube-proxy's fixed chains. */
export const chains = {
  services: 'KUBE-SERVICES',
  externalServices: 'KUBE-EXTERNAL-SERVICES',
  nodePorts: 'KUBE-NODEPORTS',
  postrouting: 'KUBE-POSTROUTING',
  markMasq: 'KUBE-MARK-MASQ',
  forward: 'KUBE-FORWARD',
  proxyFirewall: 'KUBE-PROXY-FIREWALL',
  firewall: 'KUBE-FIREWALL',
} as const;

const fixed: Readonly<Partial<Record<IptablesTableName, readonly string[]>>> = {
  nat: [chains.services, chains.nodePorts, chains.postrouting, chains.markMasq],
  filter: [chains.services, chains.externalServices, chains.nodePorts, chains.forward, chains.proxyFirewall],
};

/**
 * Whether a chain is the proxy's. KUBE-FIREWALL belongs to kubelet too, with the same rule in it, and is the proxy's only where it is wanted.
 * KUBE-XLB- is the name older kube-proxies gave to KUBE-EXT- and KUBE-SVL-.
 */
export const isProxyChain = (table: IptablesTableName, chain: string, withFirewall: boolean): boolean =>
  fixed[table]?.includes(chain) === true ||
  (table === 'nat' && /^KUBE-(?:SVC|SVL|EXT|FW|SEP|XLB|BKT)-[A-Z2-7]{16}$/.test(chain)) ||
  (withFirewall && table === 'filter' && chain === chains.firewall);
